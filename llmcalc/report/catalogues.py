"""Documents of ``formats list``, ``hardware list`` and ``hardware show``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calc.memory.number_formats import Format
from ..estimate.hardware import Accelerator
from .document import Column, Document, Fact, Table
from .json_envelope import envelope
from .memory import BYTES

CHECKED = {"true": "", "partly": "partly", "false": "no"}


def formats_document(formats: Mapping[str, Format], mixtures: Mapping[str, Any]) -> Document:
    """All number formats and mixtures."""
    rows: list[tuple[Any, ...]] = [
        (name, one.bits_per_weight, one.block * one.rows, "" if one.checked else "no", one.source)
        for name, one in formats.items()
    ]
    columns = (
        Column("format", "name"), Column("bits each", "number"), Column("block", "number", 1),
        Column("checked", "name"), Column("source"),
    )  # fmt: skip
    mixed: list[tuple[Any, ...]] = [(name, entry["main"], _rules(entry)) for name, entry in mixtures.items()]
    return Document(
        f"{len(formats)} number formats, {len(mixtures)} mixtures",
        lambda: envelope("formats list", {}, _formats_data(formats, mixtures)),
        subtitle=("bits each: per weight of a large matrix, with scales; checked: whether verified in the source",),
        tables=(
            Table("number formats", columns, rows),
            Table(
                "mixtures: file types of llama.cpp",
                (Column("mixture", "name"), Column("most matrices", "name"), Column("exceptions")),
                mixed,
            ),
        ),
    )


def _rules(entry: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{rule['of']} {rule['format']}" + "".join(f" ({rule[key]})" for key in ("layers", "when") if key in rule)
        for rule in entry.get("rules", ())
    )


def _formats_data(formats: Mapping[str, Format], mixtures: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("bits", "block", "rows", "payload", "row_bits", "column_bits", "tensor_bits", "checked", "source")
    listed = [
        {"name": name, "bits_per_weight": one.bits_per_weight, **{key: getattr(one, key) for key in keys}}
        for name, one in formats.items()
    ]
    return {"formats": listed, "mixtures": [{"name": name, **entry} for name, entry in mixtures.items()]}


def hardware_document(found: Mapping[str, Accelerator]) -> Document:
    """All accelerators with their memory, bandwidth and dense peak."""
    rows: list[tuple[Any, ...]] = [
        (
            one.name, one.year, one.memory_bytes, one.bandwidth, one.peak.get("bf16") or one.peak.get("fp16"),
            CHECKED[one.checked],
        )
        for one in found.values()
    ]  # fmt: skip
    columns = (
        Column("accelerator", "name"), Column("year", "number", 2), Column("memory", BYTES),
        Column("bytes per second", "count", 1), Column("16-bit FLOP/s", "count"), Column("checked", "name"),
    )  # fmt: skip
    return Document(
        f"{len(found)} accelerators",
        lambda: envelope("hardware list", {}, {"accelerators": [one.to_dict() for one in found.values()]}),
        subtitle=("peaks are dense; a vendor's GB is read as 10^9 bytes",),
        tables=(Table("", columns, rows),),
    )


def accelerator_document(one: Accelerator) -> Document:
    """All specifications of an accelerator."""
    facts = [
        Fact("memory", one.memory_bytes, BYTES, one.memory_text),
        *([Fact("bandwidth", one.bandwidth, "bytes per second")] if one.bandwidth else []),
        *([Fact("link", one.link[1], "bytes per second", f"both directions, {one.link[0]}")] if one.link[1] else []),
        *([Fact("power", one.power, "W")] if one.power else []),
    ]
    kinds = (("dense", one.peak), ("sparse", one.sparse), ("dense, fp16 accumulation", one.fp16_accumulate))
    peaks: list[tuple[Any, ...]] = [(name, kind, peak) for kind, found in kinds for name, peak in found.items()]
    doubts: list[tuple[Any, ...]] = list(one.unconfirmed.items())
    tables = [
        Table("peaks", (Column("format", "name"), Column("kind", "name"), Column("FLOP/s", "count")), peaks),
        Table("disputed, never used in calculations", (Column("figure", "name"), Column("values in sources")), doubts),
    ]
    notes = (one.note, f"price in US dollars per hour: {one.price}" if one.price else "", f"source: {one.source}")
    warning = {"true": (), "partly": ("some specifications are unverified",)}
    return Document(
        f"{one.title} ({one.name})",
        lambda: envelope("hardware show", {"name": one.name}, one.to_dict()),
        warnings=warning.get(one.checked, ("the specifications are unverified",)),
        facts=tuple(facts),
        tables=tuple(table for table in tables if table.rows),
        notes=tuple(filter(None, notes)),
    )

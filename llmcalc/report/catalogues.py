"""Reports for ``formats list``, ``hardware list``, ``hardware show``, ``laws list`` and ``laws show``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calc.memory.number_formats import Format
from ..engines.hardware import engine_titles
from ..estimate.hardware import Accelerator
from ..estimate.scaling.law import COMPUTE, COUNTS, QUANTITIES, TOKENS, Law
from .document import Document, Fact, Table, columns, table_of
from .json_envelope import envelope
from .numbers import BYTES, about
from .published_figures import cite

PUBLISHED = {"evidence": {"figures": "measured"}}
UNVERIFIED = {"evidence": {"figures": "assumed"}}
FITTED = {"evidence": {"constants": "fitted"}}
CHECKED = {"true": "", "partly": "partly", "false": "no"}
FORMULAS = {
    "additive": "L = e + a/N^alpha + b/D^beta",
    "kaplan": "L = ((n_c/N)^(alpha_n/alpha_d) + d_c/D)^alpha_d",
    "path": "N = k_n·C^a, D = k_d·C^b; if only one is given, the other follows from C = 6·N·D",
    "repeated": "L = e + a/N'^alpha + b/D'^beta, D' = U + U·r_d·(1 - e^(-(D/U - 1)/r_d)), N' analogously with r_n",
    "routed": "log10 L = a·log10 N + b·log10 Ê + c·log10 N·log10 Ê + d",
    "granular": "L = c + (g/G^gamma + a)/N^alpha + b/D^beta",
    "joint": "L = a·Ê^delta·N^(alpha + gamma·ln Ê) + b·Ê^omega·D^(beta + zeta·ln Ê) + c",
    "sparse": "L = e + a/N^alpha + b/D^beta + c/(1 - S)^lambda + d/((1 - S)^delta·N^gamma), S = 1 - 1/E",
}
EXPERTS = "1/Ê = 1/(E - 1 + 1/(1/e_start - 1/e_max)) + 1/e_max"
LAW_CHECKED = {"true": "publication", "copies": "transcriptions", "false": "one transcription"}
LAW_DOUBTS = {
    "true": "",
    "copies": "the constants were verified in several transcriptions, but not in the publication itself",
    "false": "the constants were verified in one transcription, but not in the publication itself",
}


def formats_document(formats: Mapping[str, Format], mixtures: Mapping[str, Any]) -> Document:
    """Build a report that lists all number formats and mixtures of formats."""
    rows = [
        (name, one.bits_per_weight, one.block * one.rows, "" if one.checked else "no", one.source)
        for name, one in formats.items()
    ]
    heads = columns("format: name", "bits each: number", "block: number 1", "checked: name", "source")
    mixed = [(name, entry["main"], _rules(entry)) for name, entry in mixtures.items()]
    mixture_heads = columns("mixture: name", "most matrices: name", "exceptions")
    return Document(
        f"{len(formats)} number formats, {len(mixtures)} mixtures",
        lambda: envelope("formats list", {}, {**_formats_data(formats, mixtures), **PUBLISHED}),
        subtitle=("bits each: bits per weight of a large matrix, including scales; checked: verified in the source",),
        tables=(Table("number formats", heads, rows), Table("mixtures: file types of llama.cpp", mixture_heads, mixed)),
    )


def _rules(entry: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{rule['of']} {rule['format']}" + "".join(f" ({rule[key]})" for key in ("layers", "when") if key in rule)
        for rule in entry.get("rules", ())
    )


def _formats_data(formats: Mapping[str, Format], mixtures: Mapping[str, Any]) -> dict[str, Any]:
    keys = (
        "name", "bits_per_weight", "bits", "block", "rows", "payload", "row_bits", "column_bits", "tensor_bits",
        "checked", "source",
    )  # fmt: skip
    listed = [{key: getattr(one, key) for key in keys} for one in formats.values()]
    return {"formats": listed, "mixtures": [{"name": name, **entry} for name, entry in mixtures.items()]}


def hardware_document(found: Mapping[str, Accelerator]) -> Document:
    """Build a report that lists all accelerators with their memory, bandwidth and peak dense throughput."""

    def peak(one: Accelerator) -> float | None:
        rate = one.peak.get("bf16") or one.peak.get("fp16")
        return rate / 1e12 if rate else None

    listed = table_of("", found.values(), {
        "accelerator: name": "name", "year: number 2": "year", "usable memory: bytes": "usable_bytes",
        "GB/s: number 1": lambda one: one.bandwidth / 1e9 if one.bandwidth else None, "16-bit TFLOP/s: number": peak,
        "checked: name": lambda one: CHECKED[one.checked],
    })  # fmt: skip
    return Document(
        f"{len(found)} accelerators",
        lambda: envelope("hardware list", {}, {"accelerators": [one.to_dict() for one in found.values()], **PUBLISHED}),
        subtitle=("peaks are dense; usable memory as reported by the driver, or the published size if unknown",),
        tables=(listed,),
        notes=("checked is empty if all figures were compared with their sources",),
    )


def accelerator_document(one: Accelerator) -> Document:
    """Build a report on an accelerator's specifications."""
    bus, group = one.bus or ("", 0.0)
    facts = (
        Fact("memory", one.memory_bytes, BYTES, one.memory_text),
        Fact("usable", one.usable_bytes, BYTES, one.usable_text.removeprefix("usable: ")),
        Fact("bandwidth", _rate(one.bandwidth), "GB/s"),
        Fact("link", _rate(one.link[1]), "GB/s", f"bidirectional, {one.link[0]}"),
        Fact("larger groups", _rate(group), "GB/s", f"bidirectional, {bus}"),
        Fact("network", _rate(one.network), "GB/s", one.network_text),
        Fact("power", one.power or None, "W"), Fact("generation", one.generation),
        Fact("multiprocessors", one.sms or None), Fact("L2 cache", one.l2_bytes or None, BYTES),
        Fact("node", one.node, "accelerators", one.node_text), Fact("engines", " · ".join(engine_titles(one))),
    )  # fmt: skip
    kinds = (("dense", one.peak), ("sparse", one.sparse), ("dense, fp16 accumulation", one.fp16_accumulate))
    peaks = [(name, kind, peak) for kind, values in kinds for name, peak in values.items()]
    offers = table_of("rental prices", one.offers, {
        "seller: name": "seller", "kind: name": "kind", "USD per hour: name": lambda offer: f"{offer.usd:.2f}",
        "date: name": "date", "source: text 1": "source",
    })  # fmt: skip
    disputed = columns("figure: name", "values in sources")
    evidence = PUBLISHED if one.checked != "false" else UNVERIFIED
    warning = {"true": "", "partly": "some specifications are unverified"}
    return Document(
        f"{one.title} ({one.name})",
        lambda: envelope("hardware show", {"name": one.name}, {**one.to_dict(), **evidence}),
        warnings=(warning.get(one.checked, "the specifications are unverified"),),
        facts=facts,
        tables=(
            Table("peaks", columns("format: name", "kind: name", "FLOP/s: about"), peaks),
            offers,
            Table("disputed and never used in calculations", disputed, list(one.unconfirmed.items())),
        ),
        notes=(one.note, f"price in US dollars per hour: {one.price}" if one.price else "", f"source: {one.source}"),
    )


def _rate(rate: float | None) -> str:
    """Return a rate in GB/s, or nothing if it is unknown."""
    return f"{rate / 1e9:,.6g}" if rate else ""


def laws_document(found: Mapping[str, Law]) -> Document:
    """Build a report that lists all scaling laws."""
    listed = table_of("", found.values(), {
        "law: name": "name", "title": "title", "form: name 1": "form", "N: name": "counts",
        "C: name 2": "compute",
        "verified in: name": lambda one: LAW_CHECKED[one.checked],
    })  # fmt: skip
    return Document(
        f"{len(found)} scaling laws",
        lambda: envelope("laws list", {}, {"laws": [one.to_dict() for one in found.values()], **FITTED}),
        subtitle=("N, C: parameters and FLOPs that the law counts; verified in: where the constants were compared",),
        tables=(listed,),
    )


def law_document(one: Law) -> Document:
    """Build a report on a scaling law with its form, constants and fitted range."""
    names = dict.fromkeys((*one.constants, *one.uncertainty))
    constants = [(name, one.constants.get(name), one.uncertainty.get(name, "")) for name in names]
    ends = [
        (QUANTITIES[name], *("" if end is None else about(end, "") for end in ends)) for name, ends in one.range.items()
    ]
    defined = ("N", one.counts, COUNTS), ("D", one.tokens, TOKENS), ("C", one.compute, COMPUTE)
    unit = "" if one.unit == 1 else f"C in units of {one.unit:.4g} FLOPs"
    return Document(
        f"{one.title} ({one.name})",
        lambda: envelope("laws show", {"name": one.name}, {**one.to_dict(), "formula": FORMULAS[one.form], **FITTED}),
        subtitle=(FORMULAS[one.form], EXPERTS if "e_start" in one.constants else "", unit),
        warnings=(LAW_DOUBTS[one.checked],),
        facts=(
            Fact("form", one.form),
            *(Fact(symbol, key, "", meanings[key]) for symbol, key, meanings in defined),
            Fact("reproduces", one.example),
            Fact("not reproduced", one.gap),
        ),
        tables=(
            Table("constants", columns("symbol: name", "value: number", "uncertainty"), constants),
            Table("fitted on", columns("quantity: name", "from: name", "to: name"), ends),
        ),
        notes=(one.note, f"source: {cite(one.source)}"),
    )

"""Documents about checkpoint headers: compared with an architecture, or counted as stored."""

from __future__ import annotations

from typing import Any

from ..checkpoint.headers import Headers
from ..verification.weights import Comparison, Difference, Group, title
from .document import Column, Document, Fact, Table
from .heading import ignored_keys_note, structure, warnings
from .heading import title as model_title
from .json_envelope import envelope, model_inputs
from .verify import CHECKS, NO, YES, check_row

MOST_DIFFERENCES = 50  # printed; the JSON output has all
BYTES = "bytes"


def comparison_document(comparison: Comparison) -> Document:
    """Whether all tensors match, what differs, and bytes by part."""
    architecture = comparison.architecture
    columns = (Column("tensor", "name"), Column("difference"))
    listed = comparison.differences[:MOST_DIFFERENCES]
    rest = len(comparison.differences) - len(listed)
    tables = [
        Table("headers compared with the architecture", CHECKS, [check_row(check) for check in comparison.checks])
    ]
    tables += [Table("what differs", columns, [(one.name, _difference_text(one)) for one in listed])] if listed else []
    tables += [_groups("known additional tensors", comparison.additional)] if comparison.additional else []
    tables.append(_groups("bytes on disk", tuple(comparison.bytes_by_part()), total=True))
    notes = [title(comparison)]
    notes += [f"quantised according to its config: {comparison.quantised}"] if comparison.quantised else []
    notes += [ignored_keys_note(comparison.unknown_keys)] if comparison.unknown_keys else []
    notes += [f"{rest:,} more differences in the JSON output"] if rest else []
    verdict = f"{YES} {len(comparison.matched):,} tensors match" if comparison.ok else (
        f"{NO} {len(comparison.differences):,} differences; {len(comparison.matched):,} tensors match"
    )  # fmt: skip
    return Document(
        model_title(architecture),
        lambda: envelope("verify", model_inputs(architecture), comparison.to_dict()),
        subtitle=structure(architecture),
        warnings=warnings(architecture),
        facts=(Fact("verdict", verdict),),
        tables=tuple(tables),
        notes=tuple(notes),
    )


def _difference_text(one: Difference) -> str:
    """``shape: 254×256 BF16, declared 256×256 BF16``."""
    declared = f"declared {one.declared}" if one.declared else "not declared"
    return f"{one.what}: {', '.join(filter(None, (one.stored, declared)))}"


def headers_document(headers: Headers, command: str) -> Document:
    """Headers without an architecture: tensors, stored elements and bytes per type."""
    groups = tuple(_parts(headers))
    result = {
        "total": headers.elements,
        "tensors": len(headers.tensors),
        "files": [{"name": file.name, "bytes": file.size_bytes} for file in headers.files],
        "bytes": [group._asdict() for group in groups],
    }
    note = (
        "headers give shapes, but not heads, active experts or operations; put the config.json into the same folder "
        "to use every command"
    )
    packed = any(kind in headers.by_type() for kind in ("I32", "U8", "I8"))
    more = ("integers may be packed parameters; they are counted as stored",) if packed else ()
    facts = [Fact("stored", headers.elements, "parameters", "elements of all tensors as stored")]
    facts += [Fact("verdict", f"{NO} nothing to compare with: no config.json")] if command == "verify" else []
    return Document(
        f"{headers.where}: headers only",
        lambda: envelope(command, {"model": headers.where}, {"ok": False, **result} if command == "verify" else result),
        facts=tuple(facts),
        tables=(_groups("bytes on disk", groups, total=True),),
        notes=(note, *more),
    )


def _parts(headers: Headers) -> list[Group]:
    groups = [Group("headers", 0, 0, sum(file.header_bytes for file in headers.files))]
    groups.append(Group("padding", 0, 0, sum(file.padding_bytes for file in headers.files)))
    return groups + [Group(f"tensors in {name}", *sums) for name, sums in headers.by_type().items()]


def _groups(name: str, groups: tuple[Group, ...], total: bool = False) -> Table:
    columns = (
        Column("part", "name"),
        Column("tensors", "number"),
        Column("elements", "count", 1),
        Column(BYTES, BYTES),
    )
    rows: list[tuple[Any, ...]] = [
        (group.name, group.tensors or None, group.elements or None, group.bytes) for group in groups
    ]
    if not total:
        return Table(name, columns, rows)
    tensors, elements = sum(group.tensors for group in groups), sum(group.elements for group in groups)
    return Table(name, columns, rows, ("total", tensors, elements, sum(group.bytes for group in groups)))

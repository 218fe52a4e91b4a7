"""Reports that compare checkpoint headers with an architecture or count the stored elements."""

from __future__ import annotations

from ..checkpoint.headers import Headers
from ..verification.weights import Comparison, Difference, Group, outside_tensors, title
from .document import Document, Fact, Table, table_of
from .heading import ignored_keys_note, model_document
from .json_envelope import envelope
from .verify import CHECKS, NO, YES, check_row

MOST_DIFFERENCES = 50  # number of printed differences; the JSON output has all of them


def comparison_document(comparison: Comparison) -> Document:
    """Build the comparison report with the number of matching tensors, the differences and the bytes on disk."""
    listed = comparison.differences[:MOST_DIFFERENCES]
    rest = len(comparison.differences) - len(listed)
    tables = (
        Table("headers compared with the architecture", CHECKS, [check_row(check) for check in comparison.checks]),
        table_of("what differs", listed, {"tensor: name": "name", "difference": _difference_text}),
        _groups("known additional tensors", comparison.additional),
        _groups("bytes on disk", tuple(comparison.bytes_by_part()), total=True),
    )
    notes = [title(comparison)]
    notes += [f"quantised according to its config: {comparison.quantised}"] if comparison.quantised else []
    notes += [ignored_keys_note(comparison.unknown_keys)] if comparison.unknown_keys else []
    notes += [f"{rest:,} more differences in the JSON output"] if rest else []
    sign = YES if comparison.ok else f"{NO} {len(comparison.differences):,} differences;"
    return model_document(
        comparison.architecture, "verify", lambda: ({}, comparison.to_dict()),
        answer=f"{sign} {len(comparison.matched):,} tensors match", tables=tables, notes=notes,
    )  # fmt: skip


def _difference_text(one: Difference) -> str:
    """Return a description such as ``shape: 254×256 BF16, declared 256×256 BF16``."""
    declared = f"declared {one.declared}" if one.declared else "not declared"
    return f"{one.what}: {', '.join(filter(None, (one.stored, declared)))}"


def headers_document(headers: Headers, command: str) -> Document:
    """Build a report on checkpoint headers without an architecture, with stored elements and bytes per data type."""
    tensors = (Group(f"tensors in {name}", *sums) for name, sums in headers.by_type().items())
    groups = (*outside_tensors(headers), *tensors)
    result = {
        "total": headers.elements, "tensors": len(headers.tensors),
        "files": [{"name": file.name, "bytes": file.size_bytes} for file in headers.files],
        "bytes": [group._asdict() for group in groups], "evidence": dict.fromkeys(("total", "bytes"), "measured"),
    }  # fmt: skip
    note = (
        "headers contain shapes, but not head counts, active experts or operations; add the config.json to the folder "
        "to use every command"
    )
    packed = any(kind in headers.by_type() for kind in ("I32", "U8", "I8"))
    name, is_compared = f"{headers.where}: headers only", command == "verify"
    return Document(
        f"{NO} no config.json to compare with" if is_compared else name,
        lambda: envelope(command, {"model": headers.where}, {"ok": False, **result} if is_compared else result),
        subtitle=(name if is_compared else "",),
        facts=(Fact("stored", headers.elements, "parameters", "elements in all stored tensors"),),
        tables=(_groups("bytes on disk", groups, total=True),),
        notes=(note, "integers may be packed parameters; they are counted as stored" if packed else ""),
    )


def _groups(name: str, groups: tuple[Group, ...], total: bool = False) -> Table:
    sums = [sum(getattr(group, part) for group in groups) for part in ("tensors", "elements", "bytes")]
    return table_of(name, groups, {
        "part: name": "name", "tensors: number": lambda group: group.tensors or None,
        "elements: count 1": lambda group: group.elements or None, "bytes: bytes": "bytes",
    }, ("total", *sums) if total else None)  # fmt: skip

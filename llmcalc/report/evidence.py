"""Report for ``evidence`` with the class of every value and the measurements that it was compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ..analysis.evidence import Evidence, ValueEvidence
from ..core.evidence import CLASSES
from ..core.printable import plural
from ..inputs.measurements import Measurements, error_text
from .document import Document, Table, columns, table_of
from .json_envelope import envelope

HEADS = ("quantity: group", "values", "class: name", "cases: number", "error", "measured by")
CHECKS = ("quantity: group", "outcome: name", "inputs: number", "of: number", "script")
MORE = "llmcalc evidence QUANTITY lists the measurements and their sources"
NOT_COMPARED = {
    "executed": "NumPy models", "exact": "equations", "measured": "used as published", "fitted": "no measurement",
    "assumed": "no measurement",
}  # fmt: skip


def evidence_document(found: Evidence) -> Document:
    """Build the report on all quantities, or on one with its tables of measurements."""
    quantity = found.quantity
    listed = [one for one in found.measurements if quantity and not one.failure]  # with a table of their own
    return Document(
        f"evidence of {quantity}" if quantity else "evidence of every quantity",
        lambda: envelope("evidence", {"quantity": quantity}, found.to_dict()),
        subtitle=() if quantity else tuple(f"{name}: {meaning}" for name, meaning in CLASSES.items()),
        tables=(
            Table("", columns(*HEADS), list(summary_rows(found))),
            Table("inputs with a wrong outcome", columns(*CHECKS), check_rows(found)),
            *([_basis(found.values), *map(_measured, listed)] if quantity else []),
        ),
        notes=tuple(line for one in listed for line in _notes(one)) if quantity else (MORE,),
    )


def summary_rows(found: Evidence) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of one row per quantity, class and set of measurements."""
    for (name, mode, kind, _), group in groupby(
        found.values, key=lambda one: (one.quantity, one.mode, one.kind, one.measurements)
    ):
        same = list(group)
        first = same[0]
        by = ", ".join(dict.fromkeys(one.by for one in first.measurements if not one.failure)) or NOT_COMPARED[kind]
        quantity = f"{name} ({mode})" if mode else name
        yield quantity, ", ".join(one.value for one in same), kind, first.count or None, _errors(first), by


def check_rows(found: Evidence) -> list[tuple[Any, ...]]:
    """Return the cells of one row per script that counts wrong outcomes of the program."""
    scripts = [one for one in found.measurements if one.failure]
    return [(one.quantity, one.failure, f"{one.failures:,}", f"{one.cases:,}", one.title) for one in scripts]


def _errors(one: ValueEvidence) -> str:
    """Return the errors of predictions and of fits, with their numbers if these are not all cases."""

    def text(in_fit: bool) -> str:
        errors = one.errors(in_fit)
        cases = f" ({plural(len(errors), 'case')})" if len(errors) != one.count else ""
        return error_text(errors) + cases if errors else ""

    left_out = (table.deviation for table in one.measurements)
    return "; ".join(filter(None, (text(False), f"in the fit: {text(True)}" if text(True) else "", *left_out)))


def _basis(values: Sequence[ValueEvidence]) -> Table:
    rows = [(one.mode, one.value, one.kind, one.basis or CLASSES[one.kind]) for one in values]
    heads = columns("mode: group", "value: name", "class: name", "rests on")
    skip = 0 if any(row[0] for row in rows) else 1
    return Table("what each value rests on", heads[skip:], [row[skip:] for row in rows])


def _measured(one: Measurements) -> Table:
    if one.deviation:
        return Table(one.title, columns("input", "error", "cases: number"), [(one.settings, one.deviation, one.cases)])
    return table_of(one.title, one.rows, {
        "case": "case", "measured: name": lambda row: f"{row.measured:,.5g} {one.unit}",
        "predicted: name": lambda row: f"{row.predicted:,.5g} {one.unit}",
        "error: name": lambda row: f"{100 * row.error:+.2f} %",
    })  # fmt: skip


def _notes(one: Measurements) -> Iterator[str]:
    """Yield the source and settings of a table, and its remark."""
    if one.rows:
        yield f"{one.title}: {one.source}. {one.settings}".rstrip()
    if one.remark:
        yield f"{one.title}: {one.remark}"

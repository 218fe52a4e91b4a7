"""CSV output of a report's main table or tree, with a header line and full precision."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from ...core.tree import Node
from ..document import Cell, Document

FORMULA = ("=", "+", "-", "@")  # first characters of a formula
EXACT = 2**53  # larger floats are not exact integers
_NUMBER = re.compile(r"[+-][\d.,]+( %)?$")
TREE_HEADER = ("path", "value", "unit", "formula", "values", "note")


def render(document: Document) -> str:
    """Render the report as CSV without the total row, so that columns can be summed."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    derived = chain([TREE_HEADER], *(_rows(root, ()) for root in document.tree))
    writer.writerows(map(_cell, row) for row in (derived if document.tree else _table(document)))
    return stream.getvalue()


def _table(document: Document) -> Iterator[Sequence[Cell]]:
    tables = document.tables or document.every_table
    if not (document.listing or tables):
        yield ("quantity", "value", "unit")
        facts = [(fact.label, fact.value, fact.unit) for fact in document.facts]
        yield from facts or [("result", document.title, "")]
        return
    table = document.listing() if document.listing else tables[document.main]
    yield [column.title or "name" for column in table.columns]
    yield from table.rows


def _cell(cell: Cell) -> Cell:
    """Return a cell that a spreadsheet does not evaluate as a formula. Whole numbers have no decimal point."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT:
        return int(cell)
    if not isinstance(cell, str) or not cell.startswith(FORMULA) or _NUMBER.match(cell):
        return cell
    return f"'{cell}"


def _rows(node: Node, above: tuple[str, ...]) -> Iterator[Sequence[Cell]]:
    path = (*above, node.label)
    yield "/".join(path), node.value, node.unit, node.formula, node.substituted, node.note
    for child in node.children:
        yield from _rows(child, path)

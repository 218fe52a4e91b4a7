"""Plain-text output for pipes and files, with all digits and aligned columns but no colour or truncation."""

from __future__ import annotations

from ..document import WORDS, Cell, Document, Fact, Table
from .tree import aligned, derivation, outlines


def render(document: Document) -> str:
    """Render the report as plain text."""
    parts = ["\n".join([document.title, *document.lines, *(f"warning: {line}" for line in document.warnings)])]
    parts += [aligned([_fact(fact) for fact in document.facts], [False, True, False])] if document.facts else []
    parts += [_tree(document)] if document.tree else []
    parts += [_table(table) for table in document.every_table]
    parts += ["\n".join(f"note: {note}" for note in document.every_note)] if document.every_note else []
    return "\n\n".join(filter(None, parts)) + "\n"


def _fact(fact: Fact) -> list[str]:
    remark = f"{fact.unit} ({fact.note})" if fact.unit and fact.note else fact.unit or fact.note
    return [fact.label, _cell(fact.value), remark]


def _table(table: Table) -> str:
    rows = [*table.rows, *([table.total] if table.total else [])]
    lines = [[column.title for column in table.columns], *(list(map(_cell, row)) for row in rows)]
    text = aligned(lines, [column.kind not in WORDS for column in table.columns])
    return f"{table.title}\n{text}" if table.title else text


def _tree(document: Document) -> str:
    lines = ((str(node.value), guides + node.label, derivation(node)) for guides, _, node in outlines(document.tree))
    return aligned(list(lines), [True, False, False])


def _cell(value: Cell) -> str:
    return "" if value is None else str(value)

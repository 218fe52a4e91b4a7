"""Format ``markdown``: headings and pipe tables, for issues, notes and pull requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..document import Cell, Column, Document, Fact, Table
from ..numbers import ABOUT, BYTES, about, change, exact, percent, ratio, short
from .tree import derivation, outline


def render(document: Document) -> str:
    """The document as Markdown."""
    parts = [f"## {_escape(document.title)}", *map(_escape, document.subtitle)]
    parts += [f"> **Warning:** {_escape(line)}" for line in document.warnings]
    if document.facts:
        facts = [_fact(fact) for fact in document.facts]
        parts.append(_table(["quantity", "value", ""], ["---", "---:", "---"], facts))
    if document.tree:
        parts.append("\n".join(["```text", *_outline(document), "```"]))
    parts += [_section(table) for table in document.tables]
    parts += ["\n".join(f"- {_escape(note)}" for note in document.notes)] if document.notes else []
    return "\n\n".join(parts) + "\n"


def _outline(document: Document) -> Iterator[str]:
    for root in document.tree:
        for guides, _, node in outline(root):
            yield f"{guides}{node.label}: {exact(node.value)}  {derivation(node)}".rstrip()


def _fact(fact: Fact) -> list[str]:
    value = _number(fact.value, fact.unit) if isinstance(fact.value, int) else str(fact.value)
    return [fact.label, value, ", ".join(filter(None, (fact.unit, fact.note)))]


def _section(table: Table) -> str:
    rows = [[_cell(cell, column) for cell, column in zip(row, table.columns, strict=True)] for row in table.rows]
    if table.total:
        total = [_cell(cell, column) for cell, column in zip(table.total, table.columns, strict=True)]
        rows.append([f"**{cell}**" if cell else "" for cell in total])
    rules = ["---" if column.kind in ("text", "name", "group") else "---:" for column in table.columns]
    text = _table([column.title for column in table.columns], rules, rows)
    return f"### {_escape(table.title)}\n\n{text}" if table.title else text


def _table(header: Sequence[str], rules: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rules, *rows))


def _cell(value: Cell, column: Column) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _escape(value)
    if column.kind in ("count", BYTES):
        return _number(int(value), column.kind)
    if column.kind == "change":
        return change(int(value))
    if column.kind.startswith(ABOUT):
        return about(float(value), column.kind.removeprefix(ABOUT).strip())
    writers = {"share": percent, "ratio": ratio}
    return writers[column.kind](value) if column.kind in writers else str(value)


def _number(number: int, unit: str) -> str:
    brief = short(number, unit)
    return f"{exact(number)} ({brief})" if brief else exact(number)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")

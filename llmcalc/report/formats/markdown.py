"""Markdown output with headings and pipe tables, for issues, notes and pull requests."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..document import WORDS, Cell, Column, Document, Fact, Table
from ..numbers import BYTES, cell_text, exact, short
from .tree import derivation, outlines

_SPECIAL = re.compile(r"[\\`|*_\[\]]")  # characters that begin code, emphasis, a cell or a link


def render(document: Document) -> str:
    """Render the report as Markdown."""
    parts = [f"## {_escape(document.title)}", *map(_escape, document.lines)]
    parts += [f"> **Warning:** {_escape(line)}" for line in document.warnings]
    if document.facts:
        facts = [_fact(fact) for fact in document.facts]
        parts.append(_table(["quantity", "value", ""], ["---", "---:", "---"], facts))
    if document.tree:
        nodes = outlines(document.tree)
        lines = [f"{guides}{node.label}: {exact(node.value)}  {derivation(node)}".rstrip() for guides, _, node in nodes]
        fence = "`" * max([3, *(len(run) + 1 for line in lines for run in re.findall("`+", line))])
        parts.append("\n".join([f"{fence}text", *lines, fence]))
    parts += [_section(table) for table in document.every_table]
    parts += ["\n".join(f"- {_escape(note)}" for note in document.every_note)] if document.every_note else []
    return "\n\n".join(parts) + "\n"


def _fact(fact: Fact) -> list[str]:
    value, *more, remark = fact.texts
    others = " = ".join(filter(None, more))
    return [_escape(fact.label), _escape(f"{value} ({others})" if others else value), _escape(remark)]


def _section(table: Table) -> str:
    rows = [list(map(_cell, row, table.columns)) for row in (*table.rows, table.total or ())]
    total = rows.pop()
    rows += [[f"**{cell}**" if cell else "" for cell in total]] if total else []
    rules = ["---" if column.kind in WORDS else "---:" for column in table.columns]
    text = _table([_escape(column.title) for column in table.columns], rules, rows)
    return f"### {_escape(table.title)}\n\n{text}" if table.title else text


def _table(header: Sequence[str], rules: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rules, *rows))


def _cell(value: Cell, column: Column) -> str:
    text = cell_text(value, column.kind)
    if isinstance(value, str):
        return _escape(text)
    brief = short(int(value), column.kind) if value is not None and column.kind in ("count", BYTES) else ""
    return f"{brief} ({text})" if brief else text


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text).replace("&", "&amp;").replace("<", "&lt;")

"""Terminal output with exact and short numbers, bars, and columns that fit the terminal width.

The output respects ``NO_COLOR``, ``TERM=dumb`` and ``COLUMNS`` (default: the terminal width).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from ..column_layout import GAP, Piece, bar, fit, pieces
from ..document import Document, Fact, Table
from ..numbers import exact
from .tree import derivation, outline

NARROWEST = 40
SEPARATOR, BREAK = " · ", " ·"
TITLE, QUIET, LOUD, FILLED = "bold", "dim", "bold yellow", "cyan"


def render(document: Document) -> str:
    """Render the report as text that fits the terminal width."""
    console = _console()
    parts: list[Iterator[object]] = [_heading(document, console.width), _facts(document.facts)]
    parts += [_tree(document, console.width)] + [_table(table, console) for table in document.tables]
    parts += [_notes(document)]
    for number, part in enumerate(list(items) for items in parts):
        if part and number:
            console.print()
        for item in part:
            console.print(item, soft_wrap=False)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _console() -> Console:
    colourless = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=io.StringIO(),
        width=max(shutil.get_terminal_size().columns, NARROWEST),
        force_terminal=True if sys.stdout.isatty() else None,
        color_system=None if colourless else "auto",
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def _heading(document: Document, width: int) -> Iterator[object]:
    yield Text(document.title, TITLE)
    for line in document.subtitle:
        yield from _hanging(line, width)
    for line in document.warnings:
        yield Text(f"! {line}", LOUD)


def _hanging(line: str, width: int) -> Iterator[Text]:
    """Wrap a line such as ``name: a · b · c`` between items, with a hanging indent."""
    first, *items = line.split(SEPARATOR)
    indent = " " * (first.find(": ") + len(": ")) if ": " in first else ""
    text = first
    for item in items:
        if len(text + SEPARATOR + item) > width - len(BREAK):
            yield Text(text + BREAK, QUIET)
            text = indent + item
        else:
            text += SEPARATOR + item
    yield Text(text, QUIET)


def _facts(facts: tuple[Fact, ...]) -> Iterator[object]:
    if not facts:
        return
    grid = Grid.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True)
    numeric = any(isinstance(fact.value, int) for fact in facts)
    grid.add_column(no_wrap=numeric, justify="right" if numeric else "left", overflow="fold")
    grid.add_column(no_wrap=True, justify="right", style=TITLE)
    grid.add_column(style=QUIET)
    for fact in facts:
        grid.add_row(fact.label, *fact.texts)
    yield grid


def _table(table: Table, console: Console) -> Iterator[object]:
    if table.title:
        yield Text(table.title, TITLE)
    blocks = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    for number, part in enumerate(fit(pieces(table), console.width)):
        if number:
            yield Text()
        yield _grid(part, bool(table.total), blocks)


def _grid(part: list[tuple[Piece, int]], has_total: bool, blocks: bool) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=QUIET, collapse_padding=True)
    for piece, width in part:
        style = FILLED if piece.shares else None
        grid.add_column(
            piece.title, justify="right" if piece.right else "left", width=width, style=style, overflow="fold",
            no_wrap=width >= piece.most,
        )  # fmt: skip
    drawn = [[bar(share, width, blocks) for share in piece.shares] or piece.cells for piece, width in part]
    rows = list(zip(*drawn, strict=True))
    for at, row in enumerate(rows):
        last = has_total and at == len(rows) - 1
        cells = ["" if last and piece.shares else cell for cell, (piece, _) in zip(row, part, strict=True)]
        grid.add_row(*cells, style=TITLE if last else None)
    return grid


def _tree(document: Document, width: int) -> Iterator[object]:
    """Render the value, label and derivation of each node, with long derivations on separate lines."""
    lines = [line for root in document.tree for line in outline(root)]
    digits = max((len(exact(node.value)) for _, _, node in lines), default=0)
    named = max((len(guides + node.label) for guides, _, node in lines), default=0)
    longest = max((len(derivation(node)) for _, _, node in lines), default=0)
    aligned = digits + named + longest + 2 * GAP <= width
    for guides, below, node in lines:
        line = Text(f"{exact(node.value):>{digits}}{' ' * GAP}")
        line.append(guides, QUIET).append(node.label, TITLE if node.children else "")
        how = derivation(node)
        if aligned:
            line.append(" " * (digits + named + 2 * GAP - len(line)))
        elif len(line) + GAP + len(how) > width:
            yield line
            indent = digits + GAP + len(below)
            yield from _below(how, " " * (digits + GAP), below, width - indent)
            continue
        else:
            line.append(" " * GAP)
        yield line.append(how, QUIET)


def _below(how: str, margin: str, guides: str, width: int) -> Iterator[Text]:
    """Render the formula and values of a derivation on separate lines, wrapped after operators and spaces."""
    for at, part in enumerate(how.split(" = ")):
        line = "= " if at else ""
        for piece in re.findall(r"[^·\s]+[·\s]*", part):
            if len(line + piece.rstrip()) > width and line.strip("= "):
                yield Text(margin).append(guides + line, QUIET)
                line = "  " if at else ""
            line += piece
        yield Text(margin).append(guides + line, QUIET)


def _notes(document: Document) -> Iterator[object]:
    for note in document.notes:
        grid = Grid.grid(padding=(0, 1, 0, 0))
        grid.add_column(style=QUIET)
        grid.add_column()
        grid.add_row("note:", note)
        yield Padding(grid, 0)

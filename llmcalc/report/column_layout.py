"""Layout of table columns within the terminal width.

A count is printed as two pieces, the exact digits and a short form. A share is printed as a percentage and a
bar. If the pieces do not fit, the least important pieces are dropped. If the required pieces do not fit, the
table is split and the first column is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .document import WORDS, Cell, Column, Table
from .numbers import BYTES, cell_text, short

GAP = 2
BROKEN_TEXT = 16  # text wraps down to this width before another column is dropped
SHORT_FORM, BAR = 1, 2  # drop order, highest number first; a column's ``optional`` is added to it
BARS = ("share", "bar")
SHORTEST_BAR, LONGEST_BAR = 8, 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"


class Piece(NamedTuple):
    """A printed column with its cells and its minimum and maximum widths."""

    title: str
    cells: list[str]
    right: bool = False
    least: int = 0
    most: int = 0
    optional: int = 0
    shares: tuple[float, ...] = ()


def pieces(table: Table) -> list[Piece]:
    """Return the printed columns of a table, including the cells of the total row."""
    rows = [*table.rows, *([table.total] if table.total else [])]
    columns = zip(*rows, strict=True) if rows else ([] for _ in table.columns)
    pairs = zip(table.columns, columns, strict=True)
    return [piece for column, cells in pairs for piece in _pieces(column, list(cells))]


def _pieces(column: Column, cells: list[Cell]) -> list[Piece]:
    drop_order = column.optional + BAR if column.optional else 0
    empty, shares = [""] * len(cells), tuple(float(cell or 0) for cell in cells) if column.kind in BARS else ()
    if column.kind == "bar":
        return [Piece(column.title, empty, False, SHORTEST_BAR, 2 * LONGEST_BAR, 0, shares)]
    texts = [cell_text(cell, column.kind) for cell in (shares or cells)]
    if column.kind == "group":
        texts = ["" if at and text == texts[at - 1] else text for at, text in enumerate(texts)]
    piece = _piece(column.title, texts, column.kind not in WORDS, drop_order)
    if column.kind == "text":
        piece = piece._replace(least=min(piece.most, max(BROKEN_TEXT, len(column.title))))
    if column.kind == "share":
        return [piece, Piece("", empty, False, SHORTEST_BAR, LONGEST_BAR, BAR, shares)]
    if column.kind in ("count", BYTES):
        brief = ["" if cell is None else short(int(cell), column.kind) for cell in cells]
        return [piece, _piece("", brief, True, drop_order or SHORT_FORM)] if any(brief) else [piece]
    return [piece]


def _piece(title: str, cells: list[str], right: bool, optional: int) -> Piece:
    width = max(map(len, [title, *cells]))
    return Piece(title, cells, right, width, width, optional)


def fit(found: Sequence[Piece], width: int) -> list[list[tuple[Piece, int]]]:
    """Return lists of (piece, width) that fit into ``width``. A split table has more than one list."""
    kept = list(found)
    while _least(kept) > width and any(piece.optional for piece in kept):
        worst = max(piece.optional for piece in kept)
        kept = [piece for piece in kept if piece.optional != worst]
    if _least(kept) <= width or len(kept) <= 2:
        return [_widen(kept, width)]
    head, rest = kept[0], kept[1:]
    parts: list[list[Piece]] = [[head]]
    for piece in rest:
        if len(parts[-1]) > 1 and _least([*parts[-1], piece]) > width:
            parts.append([head])
        parts[-1].append(piece)
    return [_widen(part, width) for part in parts]


def _least(kept: Sequence[Piece]) -> int:
    return sum(piece.least for piece in kept) + GAP * (len(kept) - 1)


def _widen(kept: Sequence[Piece], width: int) -> list[tuple[Piece, int]]:
    """Distribute the spare width from left to right, or shrink the first column if the minimum widths do not fit."""
    left = width - _least(kept)
    widths = []
    for piece in kept:
        more = max(min(piece.most - piece.least, left), 0)
        widths.append(piece.least + more)
        left -= more
    if left < 0:
        widths[0] = max(widths[0] + left, min(BROKEN_TEXT, widths[0]) // 2)
    return list(zip(kept, widths, strict=True))


def bar(share: float, width: int, blocks: bool = True) -> str:
    """Draw a bar for a fraction between 0 and 1, with a resolution of an eighth of a character.

    >>> bar(0.3, 10), bar(0.3, 10, blocks=False)
    ('███', '###')
    """
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    if not blocks:
        return "#" * round(eighths / 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()

"""Layout of table columns within the terminal width.

A count is printed as two pieces, a short form and the exact digits. A share is printed as a percentage and a
bar. If the pieces do not fit, the least important pieces are dropped: the exact digits of optional columns first,
then exact bytes, optional columns, bars and exact counts. If the required pieces do not fit, the table is split and
the first column is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..core.printable import text_width
from ..core.record import NamedTuple
from .document import WORDS, Cell, Column, Table
from .numbers import BYTES, cell_text, short

GAP = 2
BROKEN_TEXT = 16  # text wraps down to this width before another column is dropped
EXACT, BAR, EXACT_BYTES, EXACT_OPTIONAL = 1, 2, 100, 200  # drop order, highest first; BAR + ``optional`` for columns
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
    title_if_last: str = ""  # title of a short form without its exact digits


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
        brief = [None if cell is None else short(int(cell), column.kind) for cell in cells]
        if any(brief):
            digits = piece._replace(cells=[text if own else "" for text, own in zip(texts, brief, strict=True)])
            order = EXACT_OPTIONAL if drop_order else EXACT_BYTES if column.kind == BYTES else EXACT
            found = _piece("", [_aligned(text, own, column.kind) for text, own in zip(texts, brief, strict=True)], True)
            return [found._replace(optional=drop_order, title_if_last=column.title), digits._replace(optional=order)]
    return [piece]


def _aligned(text: str, brief: str | None, kind: str) -> str:
    """Return a short form, or the digits of a number without one, aligned with the digits of the others."""
    return brief or (text and (f"{text} B  " if kind == BYTES else f"{text}  "))


def _piece(title: str, cells: list[str], right: bool, optional: int = 0) -> Piece:
    width = max(map(text_width, [title, *cells]))
    return Piece(title, cells, right, width, width, optional)


def fit(found: Sequence[Piece], width: int) -> list[list[tuple[Piece, int]]]:
    """Return lists of (piece, width) that fit into ``width``. A split table has more than one list."""
    kept = list(found)
    while _least(kept) > width and any(piece.optional for piece in kept):
        kept = _without(kept, max(piece.optional for piece in kept))
    if _least(kept) <= width or len(kept) <= 2:
        return [_widen(kept, width)]
    head, rest = kept[0], kept[1:]
    parts: list[list[Piece]] = [[head]]
    for piece in rest:
        if len(parts[-1]) > 1 and _least([*parts[-1], piece]) > width:
            parts.append([head])
        parts[-1].append(piece)
    return [_widen(part, width) for part in parts]


def _without(kept: Sequence[Piece], order: int) -> list[Piece]:
    """Drop the pieces with this drop order. A short form takes the title of its dropped digits."""
    left: list[Piece] = []
    for piece, following in zip(kept, [*kept[1:], None], strict=True):
        if piece.optional != order:
            if piece.title_if_last and following and following.optional == order:
                width = max(piece.most, len(piece.title_if_last))
                piece = piece._replace(title=piece.title_if_last, title_if_last="", least=width, most=width)
            left.append(piece)
    return left


def _least(kept: Sequence[Piece]) -> int:
    return sum([piece.least for piece in kept]) + GAP * (len(kept) - 1)


def _widen(kept: Sequence[Piece], width: int) -> list[tuple[Piece, int]]:
    """Distribute the spare width, or shrink the first column if the minimum widths do not fit.

    Columns of text are widened from left to right, and the bars share what is left.
    """
    left = width - _least(kept)
    widths = [piece.least for piece in kept]
    bars = [at for at, piece in enumerate(kept) if piece.shares]
    for at, piece in enumerate(kept):
        if not piece.shares:
            widths[at] += max(min(piece.most - piece.least, left), 0)
            left -= widths[at] - piece.least
    for n_bars, at in zip(range(len(bars), 0, -1), bars, strict=True):
        more = max(min(kept[at].most - kept[at].least, left // n_bars), 0)
        widths[at] += more
        left -= more
    if left < 0:
        widths[0] = max(widths[0] + left, min(BROKEN_TEXT, widths[0]) // 2)
    return list(zip(kept, widths, strict=True))


def filled(
    words: Iterable[str], between: str, most: float, indent: str = "", measure: Callable[[str], float] = text_width
) -> Iterator[str]:
    """Yield lines of words that are not wider than ``most``, unless a word is. All but the first have an indent.

    >>> list(filled(["one", "two", "three"], " ", 7))
    ['one two', 'three']
    """
    line, *others = words
    for word in others:
        longer = f"{line}{between}{word}"
        if measure(longer) > most:
            yield line
            longer = indent + word
        line = longer
    yield line


def bar(share: float, width: int, blocks: bool = True) -> str:
    """Draw a bar for a fraction between 0 and 1, with a resolution of an eighth of a character.

    >>> bar(0.3, 10), bar(0.3, 10, blocks=False)
    ('███', '###')
    """
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    if not blocks:
        return "#" * round(eighths / 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()

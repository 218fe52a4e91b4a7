"""Plot descriptions as plain data, such as bars, curves and points.

``report/svg`` draws the plots. The kind of number (``count``, ``FLOPs``, ``bytes``, ``tokens`` or ``year``)
determines the ticks and labels of an axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from ..core.record import record
from .document import Table
from .numbers import BYTES, percent

MOST_BARS = 500
KINDS = ("count", "about", BYTES, f"about {BYTES}")  # column kinds that can be drawn as bars


@record
class Bar:
    """A labelled bar with one or more segments ``(name, value)`` and an optional remark after the total."""

    label: str
    parts: tuple[tuple[str, float], ...]
    remark: str = ""


@record
class Bars:
    """A bar chart whose bars start at zero, with an optional labelled limit such as the memory of a GPU.

    ``n_omitted`` is the number of further bars that are not drawn.
    """

    title: str
    kind: str
    bars: tuple[Bar, ...]
    limit: tuple[str, float] | None = None
    n_omitted: int = 0


@record
class Axis:
    """An axis with a title, a kind of number, and a linear or logarithmic scale."""

    title: str
    kind: str = "count"
    logarithmic: bool = False


@record
class Curve:
    """A named curve through points ``(x, y)``."""

    name: str
    points: tuple[tuple[float, float], ...]


@record
class Mark:
    """A labelled point, such as a model or the crossing of two curves."""

    label: str
    x: float
    y: float


@record
class Chart:
    """A line chart with curves, marked points and labelled horizontal lines (``levels``)."""

    title: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    marks: tuple[Mark, ...] = ()
    levels: tuple[tuple[str, float], ...] = ()


@record
class Scatter:
    """A scatter plot with groups of points. Labels are drawn only where they fit."""

    title: str
    x: Axis
    y: Axis
    groups: tuple[tuple[str, tuple[Mark, ...]], ...]


Picture = Bars | Chart | Scatter


def parts_of(sizes: Mapping[str, int]) -> tuple[tuple[str, float], ...]:
    """Return named sizes as the segments of a bar."""
    return tuple((name, float(size)) for name, size in sizes.items())


def crossings(first: Curve, second: Curve, label: str) -> tuple[Mark, ...]:
    """Find the crossings of two curves by linear interpolation between the x values that both have.

    >>> crossings(Curve("a", ((0, 0), (1, 9), (2, 4))), Curve("b", ((0, 2), (2, 2))), "here")
    (Mark(label='here', x=1.0, y=2.0),)
    """
    found, other = [], dict(second.points)
    both = [(x, y, y - other[x]) for x, y in first.points if x in other]
    for (x0, y0, before), (x1, y1, after) in pairwise(both):
        if before * after < 0:
            part = before / (before - after)
            found.append(Mark(label, x0 + part * (x1 - x0), y0 + part * (y1 - y0)))
    return tuple(found)


def bars_of(title: str, table: Table) -> Bars | None:
    """Convert the last numeric column of a table to a bar chart, or return None if there are no numbers.

    A long table has bars for its first rows.
    """
    values = max((at for at, column in enumerate(table.columns) if column.kind in KINDS), default=None)
    shares = next((at for at, column in enumerate(table.columns) if column.kind == "share"), None)
    if values is None or not any(row[values] for row in table.rows):
        return None
    column = table.columns[values]
    kind = BYTES if BYTES in column.kind else "count"
    bars = []
    for row in table.rows[:MOST_BARS]:
        label = " · ".join(cell for cell in row[:values] if isinstance(cell, str) and cell)
        bars.append(Bar(label, ((column.title, float(row[values] or 0)),), percent(row[shares] or 0) if shares else ""))
    heading = f"{title}: {table.title}" if table.title else title
    return Bars(heading, kind, tuple(bars), n_omitted=len(table.rows) - len(bars))

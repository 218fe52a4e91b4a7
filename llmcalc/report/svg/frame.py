"""The frame of a chart: title, axes, grid and their labels."""

from __future__ import annotations

from ...core.record import record
from ..pictures import Axis
from .axis import Scale, fitted, ticks
from .canvas import HEADING, SMALL, Canvas, text_width

MARGIN, GAP, LINE = 16.0, 10.0, 1.45
HIGHEST, ASPECT = 360.0, 0.55
DOT = 4.5
SPACING_X, SPACING_Y = 70, 34  # minimum pixels between ticks

Box = tuple[float, float, float, float]


@record
class Frame:
    """A canvas with its horizontal and vertical scale."""

    canvas: Canvas
    x: Scale
    y: Scale
    height: float

    @property
    def right(self) -> float:
        """The right edge of the plotting area."""
        return self.x.end


def draw_frame(
    title: str, x: Axis, y: Axis, xs: list[float], ys: list[float], width: float, right: float, top: float = 0.0
) -> Frame:
    """Draw the axes, grid and title; ``right`` and ``top`` pixels are left free for labels."""
    canvas = Canvas(width)
    canvas.text(MARGIN, MARGIN + HEADING, title, style="heading")
    above = MARGIN + HEADING + GAP + SMALL * LINE + top
    below = above + min(HIGHEST, ASPECT * width)
    lowest, highest = fitted(ys, y.kind, y.logarithmic)
    vertical = Scale(lowest, highest, below, above, y.logarithmic)
    marks = ticks(lowest, highest, y.kind, y.logarithmic, max(2, int((below - above) / SPACING_Y)))
    left = MARGIN + max(text_width(text, SMALL) for _, text in marks) + GAP
    for value, text in marks:
        at = vertical.place(value)
        canvas.line(left, at, width - MARGIN - right, at, "grid")
        canvas.text(left - GAP / 2, at + SMALL / 3, text, "end", "quiet")
    canvas.text(MARGIN, above - GAP, y.title, style="quiet")
    first, last = fitted(xs, x.kind, x.logarithmic)
    horizontal = Scale(first, last, left, width - MARGIN - right, x.logarithmic)
    for value, text in ticks(first, last, x.kind, x.logarithmic, max(2, int((horizontal.end - left) / SPACING_X))):
        at = horizontal.place(value)
        canvas.line(at, below, at, below + 4, "axis")
        canvas.text(at, below + SMALL * LINE, text, "middle", "quiet")
    canvas.line(left, below, horizontal.end, below, "axis")
    canvas.text(horizontal.end, below + 2 * SMALL * LINE, x.title, "end", "quiet")
    return Frame(canvas, horizontal, vertical, below + 2 * SMALL * LINE + MARGIN)


def spread(wanted: list[float], least: float, low: float, high: float) -> list[float]:
    """Positions closest to ``wanted``, in the same order, at least ``least`` apart, between two bounds.

    >>> spread([10, 11, 40], 5, 0, 42)
    [10, 15, 40]
    >>> spread([38, 40], 5, 0, 42)
    [37, 42]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed = list(wanted)
    below = low - least
    for index in order:
        placed[index] = max(wanted[index], below + least)
        below = placed[index]
    above = high + least
    for index in reversed(order):
        placed[index] = min(placed[index], above - least)
        above = placed[index]
    return placed


def dot_box(x: float, y: float) -> Box:
    """The bounding box of a dot."""
    return x - DOT, y - DOT, x + DOT, y + DOT


def write_beside(frame: Frame, text: str, x: float, y: float, taken: list[Box]) -> None:
    """Write a label next to, above or below its dot, unless it would overlap an occupied box."""
    wide, rise = text_width(text, SMALL), SMALL * 1.1
    spots = [("start", x + DOT + 3, y + SMALL / 3), ("end", x - DOT - 3, y + SMALL / 3),
             ("middle", x, y - DOT - 3), ("middle", x, y + DOT + SMALL)]  # fmt: skip
    for anchor, place, base in spots:
        left = place - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
        box = (left, base - rise, left + wide, base + SMALL / 4)
        inside = left >= frame.x.start and left + wide <= frame.canvas.width - MARGIN / 2
        inside = inside and frame.y.end - SMALL <= base - rise / 2 and base <= frame.y.start
        if inside and not any(_overlap(box, other) for other in taken if other != dot_box(x, y)):
            taken.append(box)
            frame.canvas.text(place, base, text, anchor, "quiet halo")
            return


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

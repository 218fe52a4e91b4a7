"""Line charts and scatter plots with axes, grids and labels.

For colour-blind readers, curves also differ in their dash patterns.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core.record import record
from ..pictures import Axis, Chart, Scatter
from .axis import Scale, fitted, ticks
from .canvas import DASHES, GAP, HEADING, LINE, MARGIN, SAMPLE, SMALL, TEXT, Canvas, colour, shortened, text_width

HIGHEST, ASPECT = 360.0, 0.55
DOT = 4.5
SPACING_X, SPACING_Y = 70, 34  # minimum pixels between ticks

Box = tuple[float, float, float, float]
NAMES_SHARE = 0.34  # maximum share of the width for the labels on the right


@record
class Frame:
    """A canvas with horizontal and vertical scales."""

    canvas: Canvas
    x: Scale
    y: Scale
    height: float


def draw_frame(
    title: str, x: Axis, y: Axis, xs: list[float], ys: list[float], width: float, right: float, names: list[str],
    dashes: Sequence[str] = (),
) -> Frame:  # fmt: skip
    """Draw the axes, a grid, a title and a legend of ``names``, and reserve ``right`` pixels for labels.

    The legend has samples of lines if their ``dashes`` are given.
    """
    canvas = Canvas(width)
    canvas.text(MARGIN, MARGIN + HEADING, shortened(title, width - 2 * MARGIN, HEADING), style="heading")
    top = MARGIN + HEADING + GAP
    above = SMALL * LINE + (canvas.legend(names, top, dashes) if names else top)
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
    """Move the ``wanted`` positions at least ``least`` apart between ``low`` and ``high``, preserving their order.

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
    """Return the bounding box of a dot."""
    return x - DOT, y - DOT, x + DOT, y + DOT


def write_label(frame: Frame, text: str, x: float, y: float, taken: list[Box]) -> None:
    """Write a label beside, above or below its dot if one of these positions is free."""
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


def draw_chart(picture: Chart, width: float) -> str:
    """Draw a line chart with levels, labelled curves and marked points."""
    xs = [x for curve in picture.curves for x, _ in curve.points]
    ys = [y for curve in picture.curves for _, y in curve.points] + [value for _, value in picture.levels]
    names = [curve.name for curve in picture.curves]
    named = max(map(text_width, names)) + 2 * GAP + SAMPLE
    above = names if any(names) and named > NAMES_SHARE * width else []  # they would be cut on the right
    named = 0.0 if above else named
    dashes = [DASHES[number % len(DASHES)] for number in range(len(names))]
    frame = draw_frame(picture.title, picture.x, picture.y, xs, ys, width, named, above, dashes)
    for name, value in picture.levels:
        at = frame.y.place(value)
        frame.canvas.line(frame.x.start, at, frame.x.end, at, "limit")
        frame.canvas.text(frame.x.start + GAP, at - 5, name, style="quiet loud halo")
    _curves(frame, picture, named)
    _marks(frame, picture)
    return frame.canvas.render(frame.height, picture.title)


def _curves(frame: Frame, picture: Chart, named: float) -> None:
    ends = []
    for number, curve in enumerate(picture.curves):
        points = [(frame.x.place(x), frame.y.place(y)) for x, y in curve.points]
        frame.canvas.curve(points, colour(number), DASHES[number % len(DASHES)])
        ends.append(points[-1][1])
    places = spread(ends, TEXT * LINE, frame.y.end, frame.y.start)
    for number, (curve, place) in enumerate(zip(picture.curves, places, strict=True)):
        if not curve.name or not named:
            continue
        x = frame.x.end + GAP
        frame.canvas.curve([(x, place), (x + SAMPLE, place)], colour(number), DASHES[number % len(DASHES)])
        x += SAMPLE + GAP / 2
        frame.canvas.text(x, place + TEXT / 3, shortened(curve.name, named - SAMPLE - 1.5 * GAP))


def _marks(frame: Frame, picture: Chart) -> None:
    """Draw the marked points. Labels that do not fit without overlap are omitted."""
    places = [(mark, frame.x.place(mark.x), frame.y.place(mark.y)) for mark in picture.marks]
    taken = [dot_box(x, y) for _, x, y in places]
    for mark, x, y in places:
        frame.canvas.circle(x, y, DOT, "var(--ink)", mark.label)
        write_label(frame, mark.label, x, y, taken)


def draw_scatter(picture: Scatter, width: float) -> str:
    """Draw a scatter plot with a legend and labelled dots."""
    marks = [mark for _, group in picture.groups for mark in group]
    xs, ys = [mark.x for mark in marks], [mark.y for mark in marks]
    frame = draw_frame(picture.title, picture.x, picture.y, xs, ys, width, GAP, [name for name, _ in picture.groups])
    places = [
        (mark, number, frame.x.place(mark.x), frame.y.place(mark.y))
        for number, (_, group) in enumerate(picture.groups)
        for mark in group
    ]
    for mark, number, x, y in places:
        frame.canvas.circle(x, y, DOT, colour(number), mark.label)
    taken = [dot_box(x, y) for *_, x, y in places]
    for mark, _, x, y in places:
        write_label(frame, mark.label, x, y, taken)
    return frame.canvas.render(frame.height, picture.title)

"""Line charts, with labels at the ends of curves and different dash patterns for readers who cannot see colours."""

from __future__ import annotations

from ..pictures import Chart
from .bars import shortened
from .canvas import DASHES, TEXT, colour, text_width
from .frame import DOT, GAP, LINE, Frame, dot_box, draw_frame, spread, write_beside

NAMES_SHARE = 0.34  # maximum share of the width for the labels on the right


def draw_chart(picture: Chart, width: float) -> str:
    """Draw the frame, levels, labelled curves and marked points."""
    xs = [x for curve in picture.curves for x, _ in curve.points]
    ys = [y for curve in picture.curves for _, y in curve.points] + [value for _, value in picture.levels]
    named = min(max(text_width(curve.name) for curve in picture.curves) + 3 * GAP, NAMES_SHARE * width)
    frame = draw_frame(picture.title, picture.x, picture.y, xs, ys, width, named)
    for name, value in picture.levels:
        at = frame.y.place(value)
        frame.canvas.line(frame.x.start, at, frame.right, at, "limit")
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
        x = frame.right + GAP
        frame.canvas.rect(x, place - TEXT / 3, GAP / 2, TEXT / 1.5, colour(number))
        frame.canvas.text(x + GAP, place + TEXT / 3, shortened(curve.name, named - 2 * GAP))


def _marks(frame: Frame, picture: Chart) -> None:
    """Dots, each labelled where the label does not overlap."""
    places = [(mark, frame.x.place(mark.x), frame.y.place(mark.y)) for mark in picture.marks]
    taken = [dot_box(x, y) for _, x, y in places]
    for mark, x, y in places:
        frame.canvas.circle(x, y, DOT, "var(--ink)", mark.label)
        write_beside(frame, mark.label, x, y, taken)

"""Scatter plots: groups of points, labelled where labels do not overlap, with tooltips for all."""

from __future__ import annotations

from ..pictures import Mark, Scatter
from .bars import shortened
from .canvas import SMALL, TEXT, colour, text_width
from .frame import DOT, GAP, LINE, MARGIN, Frame, dot_box, draw_frame, write_beside


def draw_scatter(picture: Scatter, width: float) -> str:
    """Draw the frame, the legend, dots and labels."""
    marks = [mark for _, group in picture.groups for mark in group]
    xs, ys = [mark.x for mark in marks], [mark.y for mark in marks]
    lines = _legend_lines([name for name, _ in picture.groups], width)
    frame = draw_frame(picture.title, picture.x, picture.y, xs, ys, width, GAP, len(lines) * TEXT * LINE)
    _legend(frame, lines, [name for name, _ in picture.groups])
    places = [(mark, number, frame.x.place(mark.x), frame.y.place(mark.y)) for number, group in _numbered(picture)
              for mark in group]  # fmt: skip
    for mark, number, x, y in places:
        frame.canvas.circle(x, y, DOT, colour(number), mark.label)
    taken = [dot_box(x, y) for *_, x, y in places]
    for mark, _, x, y in places:
        write_beside(frame, mark.label, x, y, taken)
    return frame.canvas.render(frame.height, picture.title)


def _numbered(picture: Scatter) -> list[tuple[int, tuple[Mark, ...]]]:
    return [(number, group) for number, (_, group) in enumerate(picture.groups)]


def _legend_lines(names: list[str], width: float) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    used = MARGIN
    for name in names:
        needed = _needed(name)
        if used + needed > width - MARGIN and lines[-1]:
            lines.append([])
            used = MARGIN
        lines[-1].append(name)
        used += needed
    return lines


def _needed(name: str) -> float:
    return TEXT + GAP / 2 + text_width(name) + 2 * GAP


def _legend(frame: Frame, lines: list[list[str]], names: list[str]) -> None:
    top = frame.y.end - GAP - SMALL * LINE - len(lines) * TEXT * LINE + TEXT / 2
    for number, line in enumerate(lines):
        x, y = MARGIN, top + (number + 0.5) * TEXT * LINE
        for name in line:
            frame.canvas.circle(x + TEXT / 2, y - TEXT / 3, DOT, colour(names.index(name)))
            frame.canvas.text(x + TEXT + GAP / 2, y, shortened(name, frame.canvas.width - 3 * MARGIN))
            x += _needed(name)

"""Line charts of ASCII characters, for terminals and pipes.

A curve is drawn at three heights per line of text, and marks stand on top of it with labels where these fit.
"""

from __future__ import annotations

from bisect import bisect_right
from math import floor

from ..core.printable import text_width
from .pictures import Chart, Mark
from .svg.axis import Scale, fitted, plain_label, ticks

WIDEST, ROWS = 80, 10
LEVELS = ".-'"  # heights within a line, from below
MARK = "o"
ROOM_X, ROOM_Y = 10, 2  # columns and rows per tick


def draw_chart(chart: Chart, width: int) -> list[str]:
    """Return the lines of a chart with at most ``width`` and 80 columns. The title is not included."""
    xs = [x for curve in chart.curves for x, _ in curve.points] + [mark.x for mark in chart.marks]
    ys = [y for curve in chart.curves for _, y in curve.points] + [mark.y for mark in chart.marks]
    low, high = fitted(ys, chart.y.kind, chart.y.logarithmic)
    marks_y = ticks(low, high, chart.y.kind, chart.y.logarithmic, ROWS // ROOM_Y)
    margin = max(len(plain_label(value)) for value, _ in marks_y)
    columns = min(width, WIDEST) - margin - 2
    x = Scale(min(xs), max(xs), 0, columns - 1, chart.x.logarithmic)
    y = Scale(low, high, 0, ROWS - 1e-9, chart.y.logarithmic)
    grid = [[" "] * columns for _ in range(ROWS)]
    for curve in chart.curves:
        heights = [(x.place(at), y.place(value)) for at, value in curve.points]
        for column in range(columns):
            height = _between(heights, column)
            grid[floor(height)][column] = LEVELS[floor(height % 1 * len(LEVELS))]
    _draw_marks(grid, [(mark, round(x.place(mark.x)), floor(y.place(mark.y))) for mark in chart.marks])
    labels = {min(floor(y.place(value)), ROWS - 1): plain_label(value) for value, _ in marks_y}
    lines = [f"{labels.get(row, ''):>{margin}} |{''.join(grid[row])}" for row in reversed(range(ROWS))]
    below = [" "] * columns
    for value, _ in ticks(x.low, x.high, chart.x.kind, chart.x.logarithmic, columns // ROOM_X):
        text, at = plain_label(value), round(x.place(value))
        start = max(min(at - len(text) // 2, columns - len(text)), 0)
        below[start : start + len(text)] = text
    indent = " " * (margin + 1)
    title = f"{chart.x.title:>{columns}}"
    lines = [f"{chart.y.title}", *lines, f"{indent}+{'-' * columns}", f"{indent} {''.join(below)}", f"{indent} {title}"]
    return [line.rstrip() for line in lines]


def _between(points: list[tuple[float, float]], at: float) -> float:
    """Return the height of a curve through ``points`` by linear interpolation."""
    right = min(max(bisect_right(points, (at, float("inf"))), 1), len(points) - 1)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return y0 + min(max((at - x0) / (x1 - x0), 0.0), 1.0) * (y1 - y0)


def _draw_marks(grid: list[list[str]], marks: list[tuple[Mark, int, int]]) -> None:
    """Draw all marks, then their labels beside them, or on the next line where neither side is free."""
    for _, column, row in marks:
        grid[row][column] = MARK
    for mark, column, row in marks:
        length = text_width(mark.label)
        places = [(line, start) for line in (row, row - 1, row + 1) for start in (column + 2, column - 1 - length)]
        for line, start in places:
            is_inside = 0 <= line < len(grid) and 0 <= start <= len(grid[0]) - length
            if is_inside and not "".join(grid[line][start : start + length]).strip():
                grid[line][start : start + length] = mark.label
                break

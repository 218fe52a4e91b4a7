"""Bar charts of breakdowns, with optional stacked segments and a limit line."""

from __future__ import annotations

from ...core.record import changed
from ..numbers import about
from ..pictures import Bar, Bars
from .axis import Scale, fitted, ticks
from .canvas import GAP, HEADING, LINE, MARGIN, SMALL, TEXT, Canvas, colour, shortened, text_width

THICK, PITCH = 20.0, 32.0
LABEL_SHARE = 0.4  # maximum share of the width
LEAST_SHARE = 0.25  # of the width, without which the values have no remarks
TICKS = 5
LEAST_DRAWN = 0.5  # pixels, so that a nonzero part stays visible


def draw_bars(picture: Bars, width: float) -> str:
    """Draw a bar chart with labels on the left, values on the right and a legend above."""
    canvas = Canvas(width)
    canvas.text(MARGIN, MARGIN + HEADING, shortened(picture.title, width - 2 * MARGIN, HEADING), style="heading")
    names = list(dict.fromkeys(name for bar in picture.bars for name, _ in bar.parts))
    top = MARGIN + HEADING + GAP
    if any(len(bar.parts) > 1 for bar in picture.bars):
        top = canvas.legend(names, top)
    left = MARGIN + GAP + min(max(text_width(bar.label) for bar in picture.bars), LABEL_SHARE * width)
    values = [_value(bar, picture.kind) for bar in picture.bars]
    if width - left - max(map(text_width, values)) < LEAST_SHARE * width:
        values = [_value(changed(bar, remark=""), picture.kind) for bar in picture.bars]
    right = width - MARGIN - GAP - max(map(text_width, values))
    scale = _scale(picture, left, right)
    top += SMALL * LINE if picture.limit else 0
    bottom = top + PITCH * len(picture.bars)
    most = max(1, min(TICKS, int((right - left) / 80)))
    for at, text in ticks(scale.low, scale.high, picture.kind, False, most):
        x = scale.place(at)
        canvas.line(x, top, x, bottom, "grid")
        canvas.text(x, bottom + SMALL * LINE, text, "middle", "quiet")
    for number, (bar, value) in enumerate(zip(picture.bars, values, strict=True)):
        _bar(canvas, bar, names, scale, top + PITCH * number, left, width, value, picture.kind)
    if picture.limit:
        _limit(canvas, picture.limit, scale, top, bottom)
    bottom += SMALL * LINE
    if picture.n_omitted:
        bottom += TEXT * LINE
        canvas.text(left, bottom, f"{picture.n_omitted:,} more rows, which the csv format lists", style="quiet")
    return canvas.render(bottom + MARGIN, picture.title)


def _scale(picture: Bars, left: float, right: float) -> Scale:
    highest = [sum(value for _, value in bar.parts) for bar in picture.bars]
    highest += [picture.limit[1]] if picture.limit else []
    return Scale(*fitted(highest, picture.kind, logarithmic=False), left, right)


def _bar(
    canvas: Canvas,
    bar: Bar,
    names: list[str],
    scale: Scale,
    top: float,
    left: float,
    width: float,
    value: str,
    kind: str,
) -> None:
    base = top + PITCH / 2 + TEXT / 3
    canvas.text(left - GAP, base, shortened(bar.label, LABEL_SHARE * width), "end")
    at = 0.0
    for name, size in bar.parts:
        start, end = scale.place(at), scale.place(at + size)
        place = names.index(name) if len(bar.parts) > 1 else 0
        tooltip = f"{name}: {about(size, kind)}"
        canvas.rect(start, top + (PITCH - THICK) / 2, max(end - start, LEAST_DRAWN), THICK, colour(place), tooltip)
        at += size
    canvas.text(width - MARGIN, base, value, "end")


def _value(bar: Bar, kind: str) -> str:
    total = about(sum(size for _, size in bar.parts), kind)
    return f"{total} · {bar.remark}" if bar.remark else total


def _limit(canvas: Canvas, limit: tuple[str, float], scale: Scale, top: float, bottom: float) -> None:
    name, value = limit
    x = scale.place(value)
    canvas.line(x, top - 4, x, bottom, "limit")
    half = text_width(name, SMALL) / 2
    x = min(max(x, MARGIN + half), canvas.width - MARGIN - half)
    canvas.text(x, top - 7, name, "middle", "quiet loud")

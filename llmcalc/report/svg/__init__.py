"""SVG rendering of bar charts, line charts and scatter plots without a plotting library."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..pictures import Bars, Chart, Picture

WIDTH = 760.0
_HEIGHT = re.compile(r' height="([\d.]+)"')


def draw_all(pictures: Sequence[Picture], width: float = WIDTH) -> str:
    """Draw the plots one below the other in one SVG document."""
    drawn = [draw(picture, width) for picture in pictures]
    if len(drawn) == 1:
        return drawn[0]
    top, parts = 0.0, []
    for text in drawn:
        parts.append(text.replace("<svg ", f'<svg y="{top:g}" ', 1))
        found = _HEIGHT.search(text)
        top += float(found[1]) if found else 0.0
    size = f'width="{width:g}" height="{top:g}" viewBox="0 0 {width:g} {top:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{"".join(parts)}</svg>\n'


def draw(picture: Picture, width: float = WIDTH) -> str:
    """Draw the plot as an SVG document with the given width in pixels."""
    if isinstance(picture, Bars):
        from .bars import draw_bars

        return draw_bars(picture, width)
    from .charts import draw_chart, draw_scatter

    return draw_chart(picture, width) if isinstance(picture, Chart) else draw_scatter(picture, width)

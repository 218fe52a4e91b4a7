"""SVG rendering of bar charts, line charts and scatter plots without a plotting library."""

from __future__ import annotations

from ..pictures import Bars, Chart, Picture

WIDTH = 760.0


def draw(picture: Picture, width: float = WIDTH) -> str:
    """Draw the plot as an SVG document with the given width in pixels."""
    if isinstance(picture, Bars):
        from .bars import draw_bars

        return draw_bars(picture, width)
    if isinstance(picture, Chart):
        from .charts import draw_chart

        return draw_chart(picture, width)
    from .charts import draw_scatter

    return draw_scatter(picture, width)

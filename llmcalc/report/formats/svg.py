"""SVG output of a report's plots, one below the other, or of the main table as a bar chart."""

from __future__ import annotations

from ...core.errors import InputError
from ..document import Document
from ..pictures import Picture, bars_of
from ..svg import draw_all


def render(document: Document) -> str:
    """Render the plots as an SVG document."""
    pictures = pictures_of(document)
    if not pictures:
        raise InputError("this result has no chart", parameter="form", hint="use another format")
    return draw_all(pictures)


def pictures_of(document: Document) -> list[Picture]:
    """Return the plots of a report, or a bar chart of the main table if the report has no plots."""
    own = list(document.pictures())
    tables = document.tables or document.every_table
    if own or not tables:
        return own
    made = bars_of(document.title, tables[document.main])
    return [made] if made else []

"""Format ``svg``: the first picture of a document, or its main table as bars."""

from __future__ import annotations

from ...core.errors import InputError
from ..document import Document
from ..pictures import Picture, bars_of
from ..svg import draw


def render(document: Document) -> str:
    """Render the first picture as an SVG document."""
    pictures = pictures_of(document)
    if not pictures:
        raise InputError("this result has no picture", parameter="form", hint="use sweep, params, flops or memory")
    return draw(pictures[0])


def pictures_of(document: Document) -> list[Picture]:
    """Return the pictures of a document, or a bar chart of its main table."""
    own = list(document.pictures())
    if own or not document.tables:
        return own
    made = bars_of(document.title, document.tables[document.main])
    return [made] if made else []

"""``--format svg``: the answer's picture alone; of an answer that has none of its own, its main table as bars."""

from __future__ import annotations

from ...core.errors import InputError
from ..document import Document
from ..pictures import Picture, bars_of
from ..svg import draw


def render(document: Document) -> str:
    """The first picture, as a file of its own.

    Raises:
        InputError: there is nothing to draw.
    """
    pictures = pictures_of(document)
    if not pictures:
        raise InputError(
            "this answer has no picture", where="--format", hint="sweep, params, flops and memory have one"
        )
    return draw(pictures[0])


def pictures_of(document: Document) -> list[Picture]:
    """The pictures that a document has, or else the one that its main table makes."""
    own = list(document.pictures())
    if own or not document.tables:
        return own
    made = bars_of(document.title, document.tables[document.main])
    return [made] if made else []

"""Text in HTML and SVG."""

from __future__ import annotations

from html import escape as escape_markup

from ..core.printable import printable


def escape(text: str) -> str:
    r"""Return printable text without markup.

    >>> escape("<b>\x1b")
    '&lt;b&gt;\\x1b'
    """
    return escape_markup(printable(text))

r"""Text that is safe to print, whatever file or command line it comes from.

>>> printable("a\x1b[31mb\u202e\nc"), printable("x" * 300, 5), escaped("a\u202e\nb")
('a\\x1b[31mb\\u202e c', 'xxxx…', 'a\\u202e\nb')
"""

from __future__ import annotations

LONGEST_NAME = 200
LONGEST_MESSAGE = 4000
LAYOUT = "\n\t"  # control characters that only move to the next line or column


def printable(text: str, longest: int | None = None) -> str:
    """Return a text as one line of at most ``longest`` characters.

    Control characters, bidirectional marks and lone surrogates could change what a terminal shows, and are escaped.
    """
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else _escape(sign) for sign in text)
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"


def escaped(text: str, longest: int | None = None) -> str:
    """Return a text of any number of lines, as ``printable`` does for one line."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() or sign in LAYOUT else _escape(sign) for sign in text)
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"


def escaped_json(text: str) -> str:
    """Return JSON text in which every unprintable character of a string is escaped."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else _json_escape(sign) for sign in text)


def _escape(sign: str) -> str:
    return " " if sign.isspace() else sign.encode("unicode_escape").decode("ascii")


def _json_escape(sign: str) -> str:
    import json

    return json.dumps(sign)[1:-1]

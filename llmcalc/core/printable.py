r"""Text that is safe to print, whatever file or command line it comes from.

>>> printable("a\x1b[31mb\u202e\nc"), printable("x" * 300, 5), escaped("a\u202e\nb")
('a\\x1b[31mb\\u202e c', 'xxxx…', 'a\\u202e\nb')
>>> text_width("model"), text_width("模型")
(5, 4)
"""

from __future__ import annotations

LONGEST_NAME = 200
LONGEST_MESSAGE = 4000
FIRST_MARK = "\u0300"  # the first character that may take no column or two
NARROW = frozenset("–—…−→│├└─█▏▎▍▌▋▊▉✓✗≤≥≈∑")  # signs of reports that are beyond


def three_digits(value: float) -> str:
    """Format a number with three digits, and with all digits before the point.

    >>> three_digits(7.1), three_digits(24.04), three_digits(841.6), three_digits(28698), three_digits(0.0057)
    ('7.10', '24.0', '842', '28,698', '0.00570')
    """
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def printable(text: str, longest: int | None = None) -> str:
    """Return a text as one line of at most ``longest`` characters.

    Control characters, bidirectional marks and lone surrogates could change what a terminal shows, and are escaped.
    """
    if text.isprintable() and (longest is None or len(text) <= longest):
        return text
    return escaped(text.replace("\n", " "), longest)


def escaped(text: str, longest: int | None = None) -> str:
    """Return a text of any number of lines, as ``printable`` does for one line."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() or sign == "\n" else _escape(sign) for sign in text)
    return text if longest is None else cut(text, longest)


def cut(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return a text of at most ``longest`` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def escaped_json(text: str) -> str:
    """Return JSON text in which every unprintable character of a string is escaped."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else _json_escape(sign) for sign in text)


def text_width(text: str) -> int:
    """Return the width of a text on a terminal. Many Asian characters and emoji take two columns, and accents none."""
    if text.isascii() or max(text, default="") < FIRST_MARK:
        return len(text)
    signs = [sign for sign in text if sign >= FIRST_MARK and sign not in NARROW]
    if not signs:
        return len(text)
    from unicodedata import combining, east_asian_width  # only needed for names in other scripts

    wide = sum(east_asian_width(sign) in ("W", "F") for sign in signs)
    return len(text) + wide - sum(bool(combining(sign)) for sign in signs)


def fitting_length(text: str, width: int) -> int:
    """Return how many characters of a text fit into ``width`` columns, at least one."""
    count = min(len(text), max(width, 1))
    while count > 1 and text_width(text[:count]) > width:
        count -= 1
    return count


def padded(text: str, width: int, right: bool = False) -> str:
    """Return a text that is aligned to the left or right in ``width`` columns."""
    spaces = " " * (width - text_width(text))
    return spaces + text if right else text + spaces


def _escape(sign: str) -> str:
    return " " if sign.isspace() else sign.encode("unicode_escape").decode("ascii")


def _json_escape(sign: str) -> str:
    import json

    return json.dumps(sign)[1:-1]


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "layer"), plural(2000, "layer")
    ('1 layer', '2,000 layers')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"

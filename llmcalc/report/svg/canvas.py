"""SVG canvas and text width estimates.

Every plot includes a style sheet with colour-blind-safe colours [wong2011] and requires no external resources.
The light or dark theme follows the reader's system settings.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from ..markup import escape

TEXT, SMALL, HEADING = 13.0, 12.0, 15.0
MARGIN, GAP, LINE = 16.0, 10.0, 1.45
# Character widths of a sans-serif font as fractions of its size, rounded up because fonts differ.
_NARROW, _WIDE, _CAPITAL, _USUAL = frozenset("iljtf.,:;'|!()[] ·"), frozenset("mwMW—…"), 0.72, 0.6
_NARROW_WIDTH, _WIDE_WIDTH = 0.36, 0.95

# Wong's palette, ordered so that neighbours also differ in brightness; grey for the rest.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#6a3d9a", "#8c6d1f")
DARK_PALETTE = ("#4ba3de", "#f0b840", "#2fc49a", "#e3a3c7", "#f0803c", "#8fd0f5", "#b08fd6", "#c9a552")
REST, DARK_REST = "#7f7f7f", "#a0a0a0"
DASHES = ("", "7 4", "2 3", "9 3 2 3")
SAMPLE = 22.0  # pixels of a curve beside its name, which show its dashes
_LIGHT = "".join(f"--c{n}:{own};" for n, own in enumerate(PALETTE)) + f"--rest:{REST};"
_DARK = "".join(f"--c{n}:{own};" for n, own in enumerate(DARK_PALETTE)) + f"--rest:{DARK_REST};"
STYLE = (
    f".pic{{--ink:#1c1c1c;--quiet:#5a5a5a;--line:#d8d8d8;--sheet:#ffffff;--loud:#b00020;{_LIGHT}"
    'font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}'
    f"@media(prefers-color-scheme:dark){{.pic{{--ink:#ececec;--quiet:#a8a8a8;--line:#3a3a3a;--sheet:#161616;"
    f"--loud:#ff7a85;{_DARK}}}}}"
    f".pic text{{fill:var(--ink);font-size:{TEXT:g}px}}.pic .quiet{{fill:var(--quiet);font-size:{SMALL:g}px}}"
    f".pic .heading{{font-size:{HEADING:g}px;font-weight:600}}.pic .loud{{fill:var(--loud)}}"
    ".pic .halo{paint-order:stroke;stroke:var(--sheet);stroke-width:4px;stroke-linejoin:round}"
    ".pic .grid{stroke:var(--line)}.pic .axis{stroke:var(--quiet)}.pic .limit{stroke:var(--loud);stroke-width:2}"
    ".pic .curve{fill:none;stroke-width:2.5;stroke-linejoin:round}"
)


def text_width(text: str, size: float = TEXT) -> float:
    """Estimate the width of a string in pixels from rounded-up character widths.

    >>> text_width("ill") < text_width("mmm")
    True
    """
    return size * sum(map(_character, text))


def _character(sign: str) -> float:
    if sign in _NARROW:
        return _NARROW_WIDTH
    if sign in _WIDE:
        return _WIDE_WIDTH
    return _CAPITAL if sign.isupper() else _USUAL


def shortened(text: str, most: float, size: float = TEXT) -> str:
    """Truncate text that is wider than ``most`` pixels, and append an ellipsis."""
    widths = list(accumulate(map(_character, text), initial=0.0))
    if size * widths[-1] <= most:
        return text
    room = most / size - _character("…")
    return f"{text[: max(bisect_right(widths, room) - 1, 0)].rstrip()}…"


def colour(number: int) -> str:
    """Return the palette colour of series ``number``, or grey if the palette is exhausted."""
    return f"var(--c{number})" if 0 <= number < len(PALETTE) else "var(--rest)"


class Canvas:
    """Canvas that collects SVG elements and renders them as a document."""

    def __init__(self, width: float) -> None:
        self.width = width
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str, anchor: str = "start", style: str = "") -> None:
        """Draw a line of text at (``x``, ``y``). ``y`` is the baseline, and ``anchor`` is the horizontal alignment."""
        kind = f' class="{style}"' if style else ""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(f'<text x="{_n(x)}" y="{_n(y)}"{place}{kind}>{escape(text)}</text>')

    def line(self, x0: float, y0: float, x1: float, y1: float, style: str) -> None:
        """Draw a straight line."""
        self._parts.append(f'<line x1="{_n(x0)}" y1="{_n(y0)}" x2="{_n(x1)}" y2="{_n(y1)}" class="{style}"/>')

    def rect(self, x: float, y: float, width: float, height: float, fill: str, about: str = "") -> None:
        """Draw a filled rectangle with an optional tooltip."""
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self._parts.append(f'<rect {place} fill="{fill}">{_title(about)}</rect>')

    def circle(self, x: float, y: float, radius: float, fill: str, about: str = "") -> None:
        """Draw a dot with an optional tooltip."""
        place = f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"'
        self._parts.append(f'<circle {place} fill="{fill}" stroke="var(--sheet)">{_title(about)}</circle>')

    def curve(self, points: list[tuple[float, float]], stroke: str, dashes: str) -> None:
        """Draw a polyline."""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(f'<polyline points="{path}" class="curve" stroke="{stroke}"{dashed}/>')

    def legend(self, names: list[str], top: float, dashes: Sequence[str] = ()) -> float:
        """Draw a legend, wrapped to the canvas width, and return the y coordinate below the last line.

        Its samples are squares, or lines if their ``dashes`` are given.
        """
        x, y, wide = MARGIN, top + TEXT, SAMPLE if dashes else TEXT
        for number, name in enumerate(names):
            needed = wide + GAP / 2 + text_width(name) + 2 * GAP
            if x + needed > self.width - MARGIN and x > MARGIN:
                x, y = MARGIN, y + TEXT * LINE
            if dashes:
                self.curve([(x, y - TEXT / 3), (x + wide, y - TEXT / 3)], colour(number), dashes[number])
            else:
                self.rect(x, y - TEXT + 2, TEXT - 2, TEXT - 2, colour(number))
            self.text(x + wide + GAP / 2, y, shortened(name, self.width - 3 * MARGIN))
            x += needed
        return y + GAP

    def render(self, height: float, title: str) -> str:
        """Render the plot as an SVG document that can also be embedded in a page."""
        size = f'width="{_n(self.width)}" height="{_n(height)}" viewBox="0 0 {_n(self.width)} {_n(height)}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" class="pic" role="img" {size}>'
        sheet = '<rect width="100%" height="100%" fill="var(--sheet)"/>'
        body = "\n".join(self._parts)
        return f"{head}\n<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{sheet}\n{body}\n</svg>\n"


def _title(about: str) -> str:
    return f"<title>{escape(about)}</title>" if about else ""


def _n(value: float) -> str:
    """Format a coordinate, rounded to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")

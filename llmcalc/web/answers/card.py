"""The verdict of a state as a picture to share: the sentence, the memory against the GPU, and the main numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...report.column_layout import filled
from ...report.markup import escape
from ...report.svg.canvas import STYLE, text_width
from .case import Case
from .verdict import memory, sentence
from .view import view_of

WIDTH, MARGIN = 1200.0, 64.0
INNER = WIDTH - 2 * MARGIN
SENTENCE, LINE, SMALL = 36.0, 48.0, 20.0  # sizes of fonts, and the height of a line
SHADES = ("var(--c0)", "var(--c5)", "var(--c1)", "var(--rest)", "var(--c2)", "var(--c3)", "var(--c4)")
MOST_NUMBERS = 4
OWN = (
    ".pic text{font-size:20px}.pic .sentence{font-size:36px}.pic .lead{font-size:26px;font-weight:650}"
    ".pic .number{font-size:44px;font-weight:650}.pic .quiet{font-size:20px}"
    ".pic .unit{font-size:20px;font-weight:450}.pic .mono{font-family:ui-monospace,monospace}"
)


def card(case: Case, _: Mapping[str, Any]) -> str:
    """Return the card as SVG."""
    view = view_of(case)
    lead, text = sentence(case, [*view.changes(case)])
    parts = [_text(MARGIN, 90, f"{'✓' if case.fit.fits else '✗'} {lead}", "lead" if case.fit.fits else "lead loud")]
    y = 90.0
    for line in filled(text.split(), " ", INNER, measure=lambda line: text_width(line, SENTENCE)):
        y += LINE
        parts.append(_text(MARGIN, y, line, "sentence"))
    bar, y = _bar(case, y + 70)
    numbers, y = _numbers(case, y + 70)
    line = view.command_lines(case)[-1 if case.fit.fits else 0]["line"]
    parts += [
        *bar,
        *numbers,
        _text(MARGIN, y + 66, line, "quiet mono"),
        _text(WIDTH - MARGIN, 90, "llmcalc", "quiet", "end"),
    ]
    height = y + 66 + 40
    size = f'width="{WIDTH:g}" height="{height:g}" viewBox="0 0 {WIDTH:g} {height:g}"'
    sheet = '<rect width="100%" height="100%" fill="var(--sheet)"/>'
    title = f"<title>{escape(f'{lead}: {text}')}</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="pic" role="img" {size}>{title}<style>{STYLE}{OWN}</style>'
    return f"{head}{sheet}{''.join(parts)}</svg>\n"


def _bar(case: Case, top: float) -> tuple[list[str], float]:
    """Return the parts of the memory of a GPU with their legend, and the y coordinate of its end."""
    found = memory(case)
    whole = max(found["total"], found["size"])
    needed = f"{found['needed_text']} of {found['size_text']}"
    parts = [_text(MARGIN, top - 16, case.gpus_text), _text(WIDTH - MARGIN, top - 16, needed, "quiet", "end"),
             _rect(MARGIN, top, INNER, 52, "var(--line)")]  # fmt: skip
    x = label = MARGIN
    for part, shade in zip((part for part in found["parts"] if part["bytes"]), SHADES, strict=False):
        width = INNER * part["bytes"] / whole
        parts.append(_rect(x, top, width, 52, shade))
        text = f"{part['title']} {part['text']}"
        parts += [_rect(label, top + 70, 16, 16, shade), _text(label + 26, top + 85, text)]
        x, label = x + width, label + 26 + text_width(text, SMALL) + 24
    end = MARGIN + INNER * found["size"] / whole
    return [*parts, _rect(end - 2, top - 8, 4, 68, "var(--ink)" if case.fit.fits else "var(--loud)")], top + 85


def _numbers(case: Case, top: float) -> tuple[list[str], float]:
    """Return the main numbers with their labels and intervals, and the y coordinate of their end."""
    chosen = [one for one in view_of(case).facts(case) if one["why"] != "memory" or not case.fit.fits][:MOST_NUMBERS]
    parts, step = list[str](), INNER / len(chosen)
    for at, one in enumerate(chosen):
        x, unit = MARGIN + step * at, f'<tspan class="unit" dx="8">{escape(one.get("after", ""))}</tspan>'
        note = " · ".join(filter(None, (one["note"], one["evidence"])))
        number = f'<text x="{x:.1f}" y="{top + 48:.1f}" class="number">{escape(one["text"])}{unit}</text>'
        parts += [_text(x, top, one["label"], "quiet"), number, _text(x, top + 80, note, "quiet")]
    return parts, top + 80


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'

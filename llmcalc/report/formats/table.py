"""Aligned text with readable numbers, bars, and columns that fit the width of the terminal, in colour or without.

A pipe gets the same text as a terminal with the same number of columns. Text is wrapped and never cut. If the columns
do not fit, exact digits and optional columns are dropped (see ``column_layout``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from ...core.errors import spelled
from ...core.printable import fitting_length, text_width
from ...core.type_names import TYPE_CHECKING
from ..column_layout import GAP, bar, filled, fit, pieces
from ..document import ASSUMED, Document, Fact, Table
from ..numbers import exact
from ..screen import MOST_LINES, screen
from ..terminal import is_coloured, is_unicode, terminal_width

SEPARATOR, BREAK, SPACE = " · ", " ·", " " * GAP
BOLD, QUIET, BARS = "1", "2", "36"
SIGNS = {"✓": "32", "✗": "31", "!": "33"}  # colours of titles and cells that begin with a verdict
WORD_ENDS = "/._-,"  # a word that is wider than its column is broken after one of these
NARROW_REMARK = 20  # remarks wrap down to this width before the digits of a fact are dropped
LONGEST_DIGITS = len("999,999,999,999,999,999")  # longer numbers are dropped before a remark wraps
WIDEST_ALIGNED = 24  # width of texts up to which remarks beside them are aligned
DECIMAL_BYTES, COUNT_DIGITS, BYTE_DIGITS = 1, 2, 3  # forms of facts after the readable one, the last dropped first
LABEL = 12  # labels and formulas of a derivation wrap down to this width
_PIECE = r"(?:\[[^\]]*\]|[^·\s])+[·\s]*"  # text up to an operator or a space, which brackets can contain
WORD = r"""(?:[^\s'"]|'[^']*'|"[^"]*"|['"])+"""  # of a command line, with its quotes
PROGRAMS = frozenset({
    "docker", "llama-bench", "llama-cli", "llama-run", "llama-server", "llmcalc", "ollama", "python", "sglang",
    "trtllm-serve", "vllm",
})  # fmt: skip
CONTINUED = " \\"  # end of a line of a command that goes on
Paint = Callable[[str, str], str]

if TYPE_CHECKING:
    from ..pictures import Chart


def render(document: Document, color: str = "auto", notes: bool = False, whole: bool = False) -> str:
    """Render the report as text that fits the terminal width. ``color`` is auto, always or never.

    If ``notes``, also print the notes that do not bear on the question. If ``whole``, print all of the document
    in place of its screen.
    """
    paint, width = _painter(is_coloured(color)), terminal_width()
    shown = document if whole else screen(document)
    is_screen = shown is not document
    warnings = [_warning(text, width, paint) for text in shown.warnings]
    parts: list[Iterable[str]] = [chain(_heading(shown, width, paint), *([] if is_screen else warnings))]
    parts += [_facts(shown.facts, width, paint), _tree(shown, width, paint)]
    parts += [_table(table, width, paint) for table in shown.every_table]
    parts += [_chart(chart, width, paint) for chart in shown.charts()]
    texts = [*filter(None, ("\n".join(line.rstrip() for line in part) for part in parts))]
    noted = shown.every_note if notes or whole else shown.notes
    listed = [*(warnings if is_screen else []), *(_note(note, width, paint) for note in noted)]
    if is_screen and not notes:
        room = MOST_LINES - sum(text.count("\n") + 2 for text in texts) - 1
        listed = [note for at, note in enumerate(listed) if sum(map(len, listed[: at + 1])) <= room]
    n_left = len(document.warnings) * is_screen + len(document.every_note) - len(listed)
    lines = [*chain(*listed), *([] if whole else _left_out(n_left, is_screen, paint))]
    return "\n\n".join([*texts, *(["\n".join(lines)] if lines else [])]) + "\n"


def _painter(is_coloured: bool) -> Paint:
    """Return a function that surrounds a text with the escape codes of a style."""
    return lambda text, style: f"\x1b[{style}m{text}\x1b[0m" if is_coloured and style and text else text


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text into lines of at most ``width`` characters. All but the first line begin with ``indent``.

    >>> wrap("decoder.block.k_bias is zero", 14), wrap("a b c", 3, " ")
    (['decoder.block.', 'k_bias is zero'], ['a b', ' c'])
    """
    if text_width(text) <= width and text.isprintable():
        return [text]
    margin = text[: len(text) - len(text.lstrip())]
    if not text.isprintable():  # names can contain any character
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    width_of = len if (text + indent).isascii() else text_width
    words = text.split()
    lines, line, is_empty = [], margin, True
    for word in words:
        if not is_empty and width_of(f"{line} {word}") > width:
            lines.append(line)
            line, is_empty = indent, True
        while width_of(line + word) > width > width_of(line):
            room = fitting_length(word, width - width_of(line))
            cut = max(word.rfind(end, 0, room) for end in WORD_ENDS) + 1 or room
            lines.append(line + word[:cut])
            line, word = indent, word[cut:]
        line, is_empty = line + word if is_empty else f"{line} {word}", False
    return [*lines, line]


def wrap_command(text: str, width: int) -> list[str]:
    r"""Break a command line between its words, so that a shell reads the lines as one command.

    A word that is longer than a line is not broken.

    >>> print("\n".join(wrap_command("vllm serve openai-community/gpt2 -tp 2", 30)))
    vllm serve \
    openai-community/gpt2 -tp 2
    """
    if text_width(text) <= width:
        return [text]
    *lines, last = filled(re.findall(WORD, text), " ", width - len(CONTINUED))
    return [*(line + CONTINUED for line in lines), last]


def _lines(text: str, width: int) -> list[str]:
    """Return the lines of a text, or of a command line."""
    if text.isprintable() and text_width(text) <= width:
        return [text]
    return wrap_command(text, width) if _is_command(text) else wrap(text, width)


def _is_command(text: str) -> bool:
    return text.isprintable() and text.partition(" ")[0] in PROGRAMS and " -" in text


def _widest(texts: Iterable[str]) -> int:
    return max(map(text_width, texts), default=0)


def _heading(document: Document, width: int, paint: Paint) -> Iterator[str]:
    yield from (paint(line, _style(document.title, BOLD)) for line in wrap(document.title, width))
    if document.action:
        yield from _lines(document.action, width)
    if document.assumed:
        for line in filled([ASSUMED, *document.assumed_flags], " ", width, " " * (len(ASSUMED) + 1)):
            yield paint(line, QUIET)
    for text in document.subtitle:
        for line in wrap_command(text, width) if _is_command(text) else _between_items(text, width):
            yield paint(line, "" if _is_command(text) else QUIET)


def _style(text: str, style: str = "") -> str:
    """Return the style of a text, with the colour of its verdict."""
    return ";".join(filter(None, (style, SIGNS.get(text[:1], ""))))


def _between_items(text: str, width: int) -> Iterator[str]:
    """Wrap a line such as ``name: a · b · c`` between items, with a hanging indent."""
    items = text.split(SEPARATOR)
    indent = " " * (items[0].find(": ") + len(": ")) if ": " in items[0] else ""
    *lines, last = filled(items, SEPARATOR, width - len(BREAK), indent)
    for line in (*(line + BREAK for line in lines), last):
        yield from wrap(line, width, indent)


def _facts(facts: tuple[Fact, ...], width: int, paint: Paint) -> Iterator[str]:
    """Align the labels, the readable values, their decimal form or exact digits, and the remarks."""
    numbers = [fact.texts for fact in facts if isinstance(fact.value, int)]
    label, value = _widest(fact.label for fact in facts), _widest(texts[0] for texts in numbers)
    digits = _widest(texts[2] for texts in numbers if texts[1])
    for level in (BYTE_DIGITS, COUNT_DIGITS, DECIMAL_BYTES, 0):
        rows = [_forms(fact.texts, level, digits) for fact in facts]
        second = _widest(row[1] for row in rows)
        room = width - sum(column + GAP for column in (label, value, second) if column)
        may_wrap = level < COUNT_DIGITS or (level == COUNT_DIGITS and second <= LONGEST_DIGITS)
        if _widest(row[2] for row in rows) <= room or (may_wrap and room >= NARROW_REMARK):
            break
    free = width - label - GAP
    aligned = _widest(row[0] for row in rows if value < text_width(row[0]) <= min(WIDEST_ALIGNED, free // 2))
    for fact, (text, more, remark) in zip(facts, rows, strict=True):
        if isinstance(fact.value, int) or text_width(text) <= value:
            styled = [(text, value, True, BOLD), (more, second, True, ""), (remark, room, False, QUIET)]
        else:
            own = text_width(text)
            if own <= aligned:
                own = aligned
            elif not remark or own + GAP + text_width(remark) <= free:
                own = min(own, free)
            else:
                own = free // 2
            styled = [(text, own, False, _style(text)), (remark, free - own - GAP, False, QUIET)]
        yield from _row([(fact.label, label, False, ""), *(cell for cell in styled if cell[1] > 0)], paint)


def _forms(texts: tuple[str, str, str, str], level: int, width: int) -> tuple[str, str, str]:
    """Return the value of a fact, its second form and its remark. ``level`` is the last form to include."""
    value, decimal, digits, remark = texts
    if decimal:
        in_bytes = f"{digits:>{width}} bytes" if digits and level >= BYTE_DIGITS else ""
        return value, decimal if level >= DECIMAL_BYTES else "", ", ".join(filter(None, (in_bytes, remark)))
    return value, digits if level >= COUNT_DIGITS else "", remark


def _row(cells: Sequence[tuple[str, int, bool, str]], paint: Paint) -> Iterator[str]:
    """Yield the lines of a row of cells (text, width, whether to align to the right, style)."""
    wrapped = [_lines(text, width) for text, width, *_ in cells]
    for at in range(max(map(len, wrapped))):
        line = []
        for lines, (_, width, right, style) in zip(wrapped, cells, strict=True):
            text = lines[at] if at < len(lines) else ""
            spaces = " " * (width - text_width(text))
            painted = paint(text, style) if style else text
            line.append(spaces + painted if right else painted + spaces)
        yield SPACE.join(line)


def _table(table: Table, width: int, paint: Paint) -> Iterator[str]:
    if table.title:
        yield from (paint(line, BOLD) for line in wrap(table.title, width))
    blocks = is_unicode()
    for number, part in enumerate(fit(pieces(table), width)):
        if number:
            yield ""
        yield from _row([(piece.title, own, piece.right, QUIET) for piece, own in part], paint)
        drawn = [[bar(share, own, blocks) for share in piece.shares] or piece.cells for piece, own in part]
        for at, row in enumerate(zip(*drawn, strict=True)):
            is_total = bool(table.total) and at == len(drawn[0]) - 1
            cells = []
            for text, (piece, own) in zip(row, part, strict=True):
                style = BARS if piece.shares else _style(text, BOLD if is_total else "")
                cells.append(("" if is_total and piece.shares else text, own, piece.right, style))
            yield from _row(cells, paint)


def _chart(chart: Chart, width: int, paint: Paint) -> Iterator[str]:
    from ..character_chart import draw_chart

    yield from (paint(line, BOLD) for line in wrap(chart.title, width))
    yield from draw_chart(chart, width)


def _tree(document: Document, width: int, paint: Paint) -> Iterator[str]:
    """Yield the value, label and derivation of each node, with long derivations on separate lines."""
    if not document.tree:
        return
    from .tree import derivation, outlines

    lines = outlines(document.tree)
    digits = _widest(exact(node.value) for _, _, node in lines)
    named = _widest(guides + node.label for guides, _, node in lines)
    aligned = digits + named + _widest(derivation(node) for _, _, node in lines) + 2 * GAP <= width
    for guides, below, node in lines:
        how, used = derivation(node), digits + GAP + text_width(guides + node.label)
        label, *more = wrap(node.label, max(width - digits - GAP - len(guides), LABEL))
        line = f"{exact(node.value):>{digits}}{SPACE}{paint(guides, QUIET)}"
        line += paint(label, BOLD if node.children else "")
        if aligned:
            yield line + " " * (digits + GAP + named + GAP - used) + paint(how, QUIET)
        elif used + GAP + text_width(how) <= width:
            yield line + SPACE + paint(how, QUIET)
        else:
            yield line
            for text in (*more, *_below(how, max(width - digits - GAP - len(below), LABEL))):
                yield " " * (digits + GAP) + paint((below + text).rstrip(), QUIET)


def _below(how: str, width: int) -> Iterator[str]:
    """Yield the formula and the values of a derivation on separate lines, wrapped after operators and spaces."""
    for at, part in enumerate(how.split(" = ")):
        sign, indent = ("= ", "  ") if at else ("", "")
        first, *others = re.findall(_PIECE, part) or [""]
        yield from filled([sign + first, *others], "", width, indent, lambda line: len(line.rstrip()))


def _warning(text: str, width: int, paint: Paint) -> list[str]:
    """Return the lines of a warning."""
    return [paint(line, _style("!", BOLD)) for line in wrap(f"! {text}", width, "  ")]


def _note(note: str, width: int, paint: Paint) -> list[str]:
    """Return the lines of a note."""
    first, *others = wrap(note, width - len("note: "))
    return [f"{paint('note:', QUIET)} {first}", *(" " * len("note: ") + line for line in others)]


def _left_out(n_notes: int, is_screen: bool, paint: Paint) -> Iterator[str]:
    """Yield a line that says which options show more."""
    more = [f"{n_notes} more note{'s' if n_notes > 1 else ''}: {spelled('{notes}')}"] if n_notes else []
    more += [f"every table: {spelled('{whole}')}"] if is_screen else []
    if more:
        yield paint("; ".join(more), QUIET)

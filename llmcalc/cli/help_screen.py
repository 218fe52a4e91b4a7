"""Help of the program, of a group of commands, of a command and of its options, drawn from the command declarations.

The help of a command has at most ``MOST_LINES`` lines in 80 columns. If it would have more, panels whose options are
described in full elsewhere list only the names of the options.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from ..core.record import NamedTuple
from ..report import terminal
from .commands import load
from .spec import Command, Option
from .table import COMMANDS, PROGRAM
from .texts import examples, panels_of, texts

HELP = "Compute what an LLM architecture costs before you train or deploy it."
OPTIONS = "Options"  # panel of options without a line
# panels that a long help shortens, in this order
COMPACTED = ("Training", "Parallelism", "Serving", "Formats", "Adapters", "Offload", "Speculation")
FIRST = ("params", "fit", "train")  # commands in the examples of the program
MOST_LINES, STANDARD, WIDEST = 60, 80, 100
NARROW = 72  # in fewer columns, the titles of panels are above their lines
MARGIN = 13  # width of the titles
TITLE, FLAG = "1", "36"  # bold, and cyan: parameters of the terminal's escape sequence
LEAST = 10  # columns of a text


class Line(NamedTuple):
    """A line of a panel, with the options and placeholders in the label, a short text, and the options."""

    label: str
    text: str
    options: Sequence[Option]


def print_help(name: str, flags: Iterable[str] = ()) -> None:
    """Print the help of a command, of some of its options, of a group of commands, or of the program (no name)."""
    from .output import write_text

    write_text(render_help(name, list(flags), min(terminal.terminal_width(), WIDEST), terminal.is_coloured()))


def render_help(name: str, flags: Sequence[str] = (), columns: int = STANDARD, is_coloured: bool = False) -> str:
    """Return the help in a number of columns, in colour or without."""
    page = _Page(columns, is_coloured)
    if name not in COMMANDS:
        _add_group(page, name) if name else _add_program(page)
        return page.text()
    command = load(name)
    if options := [command.options[flag] for flag in flags if flag in command.options]:
        _add_options(page, options)
        return page.text()
    for number in range(len(COMPACTED) + 1):
        compacted, standard = COMPACTED[:number], _Page(STANDARD)
        _add_command(standard, command, compacted)
        if len(standard.text().splitlines()) <= MOST_LINES:
            break
    _add_command(page, command, compacted)
    return page.text()


def usage(command: Command) -> str:
    """Return the usage, such as ``llmcalc params MODEL [OPTIONS]``."""
    words = [PROGRAM, command.name]
    for one in command.arguments:
        word = f"{one.metavar}..." if one.many else one.metavar
        words.append(word if one.least else f"[{word}]")
    if "--gpu" in command.options and all(one.least and not one.many for one in command.arguments):
        words.append("[GPU]")
    return " ".join([*words, "[OPTIONS]"] if command.options else words)


def panels(command: Command) -> dict[str, list[Line]]:
    """Return the lines of each panel.

    >>> from .commands import load
    >>> panels(load("rule"))["Output"][1][:2]
    ('--json', 'same as --format json')
    """
    found: dict[str, list[Line]] = {}
    rest = {option.flag: option for option in command.options.values()}
    own, shared = panels_of(command.name), texts("panels")
    for title, text in (*own.items(), *shared.items()):
        for line in text.splitlines():
            label, short = line.split("  ")
            options = [rest.pop(word) for word in label.split() if word in rest]
            if options:
                found.setdefault(title, []).append(Line(_label(label, options), _with_default(short, options), options))
    unlisted = texts("commands")[command.name].get("unlisted", OPTIONS)
    lines = [Line(f"{option.short} {option.label}".strip(), _phrase(option.help), [option]) for option in rest.values()]
    found[unlisted] = [*lines, *found.get(unlisted, [])]
    order = dict.fromkeys((OPTIONS, unlisted, *(title for title in own if title not in shared), *shared))
    return {title: found[title] for title in order if found.get(title)}


def _label(text: str, options: list[Option]) -> str:
    """Return a label without the options that a command does not have, and without their placeholders."""
    flags = [flag for option in options for flag in (option.short, option.flag)]
    kept: list[str] = []
    for word in text.split():
        if word in flags or (not word.startswith("-") and kept and kept[-1] in flags):
            kept.append(word)
    return " ".join(kept)


def _with_default(text: str, options: list[Option]) -> str:
    """Append the default value of a single option."""
    value = options[0].default
    stated = len(options) > 1 or "default" in text or value in (None, False, 0, "none", "-")
    return text if stated else f"{text} (default: {value})"


def _phrase(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}".rstrip(".")


class _Page:
    """Lines of a help screen in a number of columns."""

    def __init__(self, columns: int, is_coloured: bool = False) -> None:
        self.columns = columns
        self.is_coloured = is_coloured
        self.lines: list[str] = []

    def add(self, *texts: str) -> None:
        """Add texts, which are wrapped, and empty lines."""
        for text in texts:
            self.lines += _wrapped(text, self.columns)

    def head(self, usage: str, text: str) -> None:
        """Add the usage and a description."""
        self.add(f"Usage: {usage}", "", text, "")

    def entries(self, entries: Iterable[tuple[str, str]]) -> None:
        """Add titles and texts in two columns."""
        for entry in entries:
            self._row(entry, (MARGIN,), (TITLE,))

    def panel(self, title: str, lines: Sequence[tuple[str, str]], label_width: int, is_above: bool = False) -> None:
        """Add a panel with its title in the margin, or above the lines."""
        if is_above or self.columns < NARROW:
            self.heading(title)
            for label, text in lines:
                self._row((f"  {label}", text), (label_width + 2,), (FLAG,))
        else:
            for at, line in enumerate(lines):
                self._row(("" if at else title, *line), (MARGIN, label_width), (TITLE, FLAG))
        self.add("")

    def heading(self, text: str, style: str = TITLE) -> None:
        """Add a text in a style."""
        self.lines += [self._styled(line, style) for line in _wrapped(text, self.columns)]

    def indented(self, text: str) -> None:
        """Add a text below a heading."""
        self.lines += [f"  {line}" for line in _wrapped(text, self.columns - 2)]

    def names(self, title: str, names: str) -> None:
        """Add a panel that lists only names of options."""
        self._row((title, names), (MARGIN,), (TITLE, FLAG))
        self.add("")

    def text(self) -> str:
        """Return the page."""
        return "\n".join(line.rstrip() for line in self.lines)

    def _row(self, texts: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> None:
        """Add texts side by side. The last one takes the rest of the columns."""
        all_widths = (*widths, max(self.columns - sum(widths), LEAST))
        cells = [_wrapped(text, width) for text, width in zip(texts, all_widths, strict=True)]
        for line in zip_longest(*cells, fillvalue=""):
            padded = (*(text.ljust(width) for text, width in zip(line[:-1], widths, strict=True)), line[-1])
            self.lines.append("".join(map(self._styled, padded, (*styles, "")[: len(padded)])))

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if style and text and self.is_coloured else text


def _wrapped(text: str, columns: int) -> list[str]:
    """Return the lines of a text that has at most a number of columns. Only spaces separate words."""
    return [
        piece
        for line in text.split("\n")
        for piece in textwrap.wrap(line, max(columns, LEAST), break_on_hyphens=False) or [""]
    ]


def _add_command(page: _Page, command: Command, compacted: Iterable[str]) -> None:
    page.head(usage(command), command.help)
    if command.arguments:
        page.entries((one.metavar, one.help) for one in command.arguments)
        page.add("")
    found = panels(command)
    label_width = max((len(line.label) for lines in found.values() for line in lines), default=0) + 2
    asked = next(iter(command.options), "")
    for title, lines in found.items():
        if title in compacted:
            flags = [option.flag for line in lines for option in line.options]
            page.names(title, " ".join(flags))
            asked = flags[0]
        else:
            page.panel(title, [line[:2] for line in lines], label_width)
    page.entries([("Examples", "\n".join(examples(command.name)))])
    if asked:
        page.add("", f"More about an option: {PROGRAM} help {command.name} {asked}")


def _add_options(page: _Page, options: Iterable[Option]) -> None:
    """Describe options in full."""
    from ..core.aliases import ENGINE_OPTIONS

    for option in options:
        page.heading(f"{option.short} {option.label}".strip(), FLAG)
        default = "" if option.default in (None, False) or "default" in option.help else f" Default: {option.default}."
        others = ", ".join(name for name, flag in ENGINE_OPTIONS.items() if flag == option.flag)
        names = f" Other names: {others}." if others else ""
        page.indented(f"{option.help}{default}{names}")


def _add_group(page: _Page, name: str) -> None:
    members = [command for command in COMMANDS if command.startswith(f"{name} ")]
    page.head(f"{PROGRAM} {name} COMMAND [OPTIONS]", texts("groups")[name])
    lines = [(member.split()[1], texts("commands")[member]["help"]) for member in members]
    page.panel("Commands", lines, len("search") + 2)
    page.entries([("Examples", "\n".join(examples(member)[0] for member in members))])


def _add_program(page: _Page) -> None:
    page.head(f"{PROGRAM} COMMAND [OPTIONS]", HELP)
    headings, groups, commands = texts("headings"), texts("groups"), texts("commands")
    label_width = max(len(name) for names in headings.values() for name in names) + 2
    for question, names in headings.items():
        lines = [(name, groups.get(name) or commands[name]["help"]) for name in names]
        page.panel(question, lines, label_width, is_above=True)
    page.entries([("Examples", "\n".join(examples(name)[0] for name in FIRST))])
    page.add(
        "",
        f"More: {PROGRAM} help {FIRST[0]}. Version: --version. Completion: --install-completion.",
    )

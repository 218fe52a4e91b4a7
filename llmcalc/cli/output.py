"""Output of reports, text and warnings."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ..core.errors import InputError
from ..core.printable import LONGEST_MESSAGE, escaped
from ..core.record import changed
from ..core.type_names import Any
from ..report import render
from ..report.document import Document
from ..report.screen import MOST_ROWS, ROWS
from .parser import TYPED

OK, NO = 0, 1
TABLE = "table"
# replacements of the same width, for encodings other than UTF-8
SIMILAR = {"✓": "+", "✗": "x", "×": "x", "·": "*", "–": "-", "→": ">", "│": "|", "├": "|", "└": "`", "─": "-", "█": "#"}
Answer = Document | tuple[Document, bool]


def printed(command: Callable[..., Answer]) -> Callable[..., int]:
    """Wrap a command function that returns a report and, optionally, whether the command succeeded (exit code 0)."""

    def run(
        *, form: str | None, as_json: bool, color: str, notes: bool = False, whole: bool = False, **given: Any
    ) -> int:
        chosen = chosen_format(form, as_json)
        style = {"notes": notes, "whole": whole}
        for name in (name for name, is_asked in style.items() if is_asked and chosen != TABLE):
            raise InputError(f"{chosen} has every note", parameter=name, hint="omit it")
        ROWS.set(MOST_ROWS if chosen == TABLE and not whole else None)
        answer = command(**given)
        document, ok = answer if isinstance(answer, tuple) else (answer, True)
        assumed = tuple(each for each in document.assumed if each[0].name not in TYPED.get())
        document = changed(document, assumed=assumed)
        write_text(render(document, chosen, **({"color": color, **style} if chosen == TABLE else {})))
        return OK if ok else NO

    return run


def answered(result: Any, *others: Any, name: str = "", spell: Callable[[Any], str] | None = None) -> Answer:
    """Return the report of a result, and whether its answer is yes, as ``analysis/results.py`` states.

    Args:
        result: the result.
        others: what else the report shows.
        name: name of the report of a quantity.
        spell: returns the command line of changed settings.
    """
    from importlib import import_module

    from ..analysis.results import RESULTS, ResultClass

    kind = RESULTS.get(type(result).__name__) or ResultClass(f"{name}.{name}_document")
    module, function = kind.document.split(".")
    document = getattr(import_module(f"..report.{module}", __package__), function)
    texts = {"spell": spell} if kind.spells else {}
    return document(result, *others, **texts), not kind.holds or bool(getattr(result, kind.holds))


def chosen_format(form: str | None, as_json: bool) -> str:
    """Return the requested output format. The default is ``table``."""
    if as_json and form not in (None, "json"):
        raise InputError("cannot be combined with --json", parameter="form", hint="omit one of them")
    return "json" if as_json else form or TABLE


def _is_encodable(letter: str, encoding: str) -> bool:
    try:
        return letter < "\x80" or bool(letter.encode(encoding))
    except UnicodeEncodeError:
        return False


def write_text(text: str) -> None:
    """Print text, replacing characters that the terminal encoding does not support, such as lone surrogates."""
    if sys.stdout is None:
        raise OSError("standard output is closed")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if encoding.lower().startswith("utf"):
        text = text.encode(encoding, "backslashreplace").decode(encoding)  # lone surrogates
    else:
        text = "".join(each if _is_encodable(each, encoding) else SIMILAR.get(each, "?") for each in text)
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")


def write_yaml(text: str, color: str) -> None:
    """Print YAML with syntax colours, if colour is wanted."""
    from ..report.terminal import is_coloured

    text = escaped(text)
    if is_coloured(color):
        from io import StringIO

        from rich.console import Console
        from rich.syntax import Syntax

        console = Console(file=StringIO(), force_terminal=True, color_system="standard", legacy_windows=False)
        console.print(Syntax("", "yaml", theme="ansi_dark").highlight(text), end="", soft_wrap=True)
        text = console.file.getvalue()  # type: ignore[attr-defined]
    write_text(text)


def warn(lines: list[str]) -> None:
    """Print warnings to standard error, one per line."""
    for line in lines:
        print(f"warning: {escaped(line, LONGEST_MESSAGE)}", file=sys.stderr)

"""mkdocs hook that generates the CLI reference from command declarations and the Python API from docstrings."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
if (ROOT / "llmcalc").is_dir():
    sys.path.insert(0, str(ROOT))

import llmcalc  # noqa: E402
from llmcalc.cli.commands import load  # noqa: E402
from llmcalc.cli.help_screen import panels, usage  # noqa: E402
from llmcalc.cli.spec import Argument, Option, Parameter  # noqa: E402
from llmcalc.cli.table import COMMANDS  # noqa: E402
from llmcalc.cli.texts import examples  # noqa: E402

LONGEST_LINE = 90
_HEADING = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
_ENTRY = re.compile(r" {4}([\w`, ]+): (.*)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Generate the CLI reference and the Python API."""
    files.append(File.generated(config, "cli.md", content=cli()))
    files.append(File.generated(config, "python.md", content=python()))
    return files


def cli() -> str:
    """Render every command with its arguments and options."""
    head = (
        "# CLI reference\n\nExit codes: 0 means success, 1 means that the answer is no (for example, the model does "
        "not fit), and 2 means invalid input.\n"
    )
    return "\n".join([head, *map(_command, COMMANDS)])


def _command(name: str) -> str:
    command = load(name)
    rows = [_row(one) for one in command.arguments]
    for title, panel in panels(command).items():
        rows += [f"| **{title}** | |", *(_row(option) for line in panel for option in line.options)]
    lines = [f"## llmcalc {name}", "", command.help, "", "```text", usage(command), "```", ""]
    lines += ["| | |", "| --- | --- |", *rows, ""] if rows else []
    lines += ["```bash", *examples(name), "```", ""]
    return "\n".join(lines)


def _row(parameter: Parameter) -> str:
    if isinstance(parameter, Argument):
        return f"| `{parameter.metavar}` | {_cell(parameter.help)} |"
    return f"| `{parameter.label}` | {_cell(parameter.help)}{_default(parameter)} |"


def _default(option: Option) -> str:
    shown = option.default not in (None, False, []) and not option.repeatable and "default" not in option.help
    return f" Default: `{option.default}`." if shown else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def python() -> str:
    """Render every public name with its signature and docstring."""
    found = {name: getattr(llmcalc, name) for name in llmcalc.__all__ if not name.startswith("_")}
    functions = {name: value for name, value in found.items() if not inspect.isclass(value)}
    errors = {name: value for name, value in found.items() if inspect.isclass(value) and issubclass(value, Exception)}
    classes = {name: value for name, value in found.items() if name not in functions and name not in errors}
    parts = ["# Python API", "", "Functions that take a model accept the result of `load`, a model name or a path.", ""]
    for title, group in (("Functions", functions), ("Classes", classes), ("Errors", errors)):
        parts += [f"## {title}", "", *(_entry(name, value) for name, value in group.items())]
    return "\n".join(parts)


def _entry(name: str, value: object) -> str:
    assert callable(value)
    signature = "" if inspect.isclass(value) else _signature(value)
    return f"### {name}\n\n```python\n{name}{signature}\n```\n\n{markdown(inspect.getdoc(value) or '')}\n"


def _signature(function: Callable[..., object]) -> str:
    text = str(inspect.signature(function)).replace("'", "")
    if len(text) <= LONGEST_LINE:
        return text
    inner, _, result = text.removeprefix("(").rpartition(")")
    return "(\n    " + re.sub(r", (?=\*|\w+:)", ",\n    ", inner) + f",\n){result}"


def markdown(docstring: str) -> str:
    """Convert a docstring to Markdown, with examples as code and sections as lists."""
    lines: list[str] = []
    section = in_example = False
    for line in docstring.replace("``", "`").splitlines():
        if line.startswith(">>>") and not in_example:
            lines += ["", "```python"]
            in_example = True
        elif in_example and not line.strip():
            lines.append("```")
            in_example = False
        if _HEADING.match(line):
            lines += ["", f"**{line.removesuffix(':')}**", ""]
            section = True
        elif section and (entry := _ENTRY.match(line)):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif section and line.startswith(" "):
            lines.append(f"  {line.strip()}")
        else:
            section = section and not line.strip()
            lines.append(line)
    return "\n".join([*lines, "```"] if in_example else lines)

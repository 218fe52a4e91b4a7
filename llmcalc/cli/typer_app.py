"""Typer application for shell completion, built from the command declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from .commands import load
from .completion import completer
from .help_screen import HELP
from .spec import Argument, Command, Parameter
from .table import COMMANDS, PROGRAM
from .texts import texts

SETTINGS = {"help_option_names": ["-h", "--help"]}


def complete(words: Sequence[str]) -> int:
    """Complete a command line in a shell, or install completion, and return the exit code."""
    code = application()(args=list(words), prog_name=PROGRAM, standalone_mode=False)
    return code if isinstance(code, int) else 0


def application() -> typer.Typer:
    """Build the typer application."""
    app = _typer(HELP)
    app.callback()(_root)
    groups = {name: _typer(text) for name, text in texts("groups").items()}
    for name in COMMANDS:
        command = load(name)
        *group, word = name.split()
        declare = (groups[group[0]] if group else app).command(word, help=command.help, context_settings=SETTINGS)
        declare(_callback(command))
    for name, group_app in groups.items():
        app.add_typer(group_app, name=name)
    return app


def _typer(text: str) -> typer.Typer:
    return typer.Typer(help=text, context_settings=SETTINGS)


def _root(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")] = False,
) -> None:
    """Options of the program."""


def _callback(command: Command) -> Callable[..., None]:
    """Return a function with the signature that typer expects of a command. ``parser.py`` reads what is run."""

    def call(**values: Any) -> None:
        """Do nothing."""

    parameters = [_parameter(parameter) for parameter in command.parameters]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameter(parameter: Parameter) -> inspect.Parameter:
    complete: Any = completer(parameter.complete) if parameter.complete else None
    kind: Any
    if isinstance(parameter, Argument):
        what: Any = typer.Argument(help=parameter.help, autocompletion=complete)
        kind = list[str] if parameter.many else str
    else:
        choices, flags = parameter.choices, filter(None, (parameter.flag, parameter.short))
        complete = (lambda incomplete: [one for one in choices if one.startswith(incomplete)]) if choices else complete
        what = typer.Option(*flags, help=parameter.help, autocompletion=complete)
        kind = bool if parameter.kind is bool else list[str] if parameter.repeatable else str
    annotation = Annotated[kind | None, what]
    return inspect.Parameter(parameter.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

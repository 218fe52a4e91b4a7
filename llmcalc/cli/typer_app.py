"""Typer application for shell completion and usage errors, built from the command declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ..core.errors import InputError
from .commands import load
from .completion import completer
from .errors import print_error
from .help_screen import HELP, print_help
from .parser import UsageError, check_count, checker
from .spec import Argument, Command, Parameter
from .table import COMMANDS, PROGRAM
from .texts import texts
from .usage import BAD_INPUT, describe

SETTINGS = {"help_option_names": ["-h", "--help"]}
# base class of typer's usage errors; its name depends on the version
_UsageError: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def run(words: Sequence[str]) -> int:
    """Run a command line with typer and return the exit code."""
    try:
        code = application()(args=list(words), prog_name=PROGRAM, standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except InputError as error:
        print_error(error, words)
        return BAD_INPUT
    except _UsageError as error:
        _explain(error, list(words))
        return int(getattr(error, "exit_code", BAD_INPUT))
    return code if isinstance(code, int) else 0


def application(run_by: Callable[[Command], Callable[..., int]] = lambda command: command.run) -> typer.Typer:
    """Build the typer application. For tests, ``run_by`` maps each command to the function to call."""
    app = _typer(HELP)
    app.callback(invoke_without_command=True)(_root)
    groups = {name: _typer(text) for name, text in texts("groups").items()}
    for group_app in groups.values():
        group_app.callback(invoke_without_command=True)(_help_alone)
    for name in COMMANDS:
        command = load(name)
        *group, word = name.split()
        declare = (groups[group[0]] if group else app).command(word, help=command.help, context_settings=SETTINGS)
        declare(_callback(command, run_by(command)))
    for name, group_app in groups.items():
        app.add_typer(group_app, name=name)
    return app


def _typer(text: str) -> typer.Typer:
    return typer.Typer(help=text, context_settings=SETTINGS, pretty_exceptions_enable=False)


def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from .. import __version__

        print(f"{PROGRAM} {__version__}")
        raise typer.Exit
    _help_alone(context)


def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print_help(str(context.info_name) if context.parent else "")


def _callback(command: Command, target: Callable[..., int]) -> Callable[..., int]:
    """Build a function whose signature declares the parameters to typer."""

    def call(**values: Any) -> int:
        for parameter in command.parameters:  # some versions pass None for a missing list
            if parameter.many if isinstance(parameter, Argument) else parameter.repeatable:
                values[parameter.name] = list(values[parameter.name] or ())
        check_count(command, values)
        return target(**values)

    parameters = [_parameter(parameter) for parameter in command.parameters]
    call.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    call.__doc__ = command.help
    return call


def _parameter(parameter: Parameter) -> inspect.Parameter:
    complete = completer(parameter.complete) if parameter.complete else None
    kind: Any
    if isinstance(parameter, Argument):
        kind = list[str] if parameter.many else str
        what: Any = typer.Argument(help=parameter.help, autocompletion=complete, show_default=False)
        default: Any = inspect.Parameter.empty if parameter.least else None
    else:
        flags = (parameter.flag, parameter.short) if parameter.short else (parameter.flag,)
        checked = bool(parameter.choices) or parameter.kind is int
        what = typer.Option(
            *flags,
            help=parameter.help,
            metavar=parameter.metavar or "|".join(parameter.choices) or None,
            autocompletion=_choice_completer(parameter.choices) if parameter.choices else complete,
            callback=checker(parameter) if checked else None,
            show_default=parameter.default not in (None, False),
        )
        kind = list[str] if parameter.repeatable else bool if parameter.kind is bool else str
        kind = kind | None if parameter.default is None and not parameter.repeatable else kind
        default = [] if parameter.repeatable else parameter.default
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, what]
    )


def _choice_completer(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _explain(error: Any, words: list[str]) -> None:
    """Print a usage error with a suggestion and instructions for getting help."""
    message = str(error.format_message()).split(" (Possible options")[0].split(" Did you mean")[0].rstrip(".")
    context = getattr(error, "ctx", None)
    flag = str(getattr(error, "option_name", None) or "")
    known = _flags(context) if context else []
    if context and not flag:
        known = list(getattr(context.command, "commands", {})) or known
    found = UsageError(f"{message[:1].lower()}{message[1:]}", flag, _unknown_word(error, message), known)
    print_error(describe(found, words), words, flag or str(getattr(getattr(error, "param", None), "name", None) or ""))


def _unknown_word(error: Any, message: str) -> str:
    name = getattr(error, "option_name", "") or getattr(error, "command_name", "")
    if name:
        return str(name)
    return message.split("'")[1] if message.startswith("No such command") and message.count("'") > 1 else ""


def _flags(context: Any) -> list[str]:
    return [flag for parameter in context.command.params for flag in parameter.opts if flag.startswith("--")]

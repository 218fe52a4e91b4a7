"""Typer application for shell completion and usage errors, built from the command declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ..core.errors import InputError, nearest, short_repr
from ..core.setting import LENGTHS
from .commands import load
from .completion import completer
from .errors import option_hint, print_error
from .examples import EXAMPLES
from .help_screen import HELP, print_help
from .parser import read_number
from .spec import Argument, Command, Option, Parameter
from .table import COMMANDS, GROUPS, PROGRAM, split

BAD_INPUT = 2
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
    groups = {name: _typer(text) for name, text in GROUPS.items()}
    for group_app in groups.values():
        group_app.callback(invoke_without_command=True)(_help_alone)
    for name in COMMANDS:
        command = load(name)
        *group, word = name.split()
        home = groups[group[0]] if group else app
        declare = home.command(word, help=command.help, context_settings=SETTINGS)
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
            if _is_list(parameter):
                values[parameter.name] = list(values[parameter.name] or ())
        _check_count(command, values)
        return target(**values)

    parameters = [_parameter(parameter) for parameter in command.parameters]
    call.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    call.__doc__ = command.help
    return call


def _check_count(command: Command, values: dict[str, Any]) -> None:
    for argument in command.arguments:
        given = values[argument.name]
        if argument.many and len(given) < argument.least:
            message = f"{command.name} requires at least {argument.least} {argument.name}, not {len(given)}"
            raise InputError(message, hint=f"for example: {EXAMPLES[command.name][0]}")


def _is_list(parameter: Parameter) -> bool:
    return parameter.many if isinstance(parameter, Argument) else parameter.repeatable


def _parameter(parameter: Parameter) -> inspect.Parameter:
    complete = completer(parameter.complete) if parameter.complete else None
    kind: Any
    if isinstance(parameter, Argument):
        kind = list[str] if parameter.many else str
        what: Any = typer.Argument(help=parameter.help, autocompletion=complete, show_default=False)
        default: Any = inspect.Parameter.empty if parameter.least else None
    else:
        flags = (parameter.flag, parameter.short) if parameter.short else (parameter.flag,)
        offered = _choice_completer(parameter.choices) if parameter.choices else complete
        checked = bool(parameter.choices) or parameter.kind is int
        what = typer.Option(
            *flags,
            help=parameter.help,
            metavar=parameter.metavar or "|".join(parameter.choices) or None,
            autocompletion=offered,
            callback=_checker(parameter) if checked else None,
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


def _checker(option: Option) -> Callable[[str | None], Any]:
    """Build a typer callback that checks choices and numbers."""

    def check(value: str | None) -> Any:
        if value is None:
            return None
        if option.choices and value not in option.choices:
            hint = _did_you_mean(value, option.choices) or f"use one of {', '.join(option.choices)}"
            raise InputError(f"invalid value {short_repr(value)}", parameter=option.name, hint=hint)
        if option.kind is int:
            number = read_number(option, value)
            if number is None:
                kind = "length" if option.name in LENGTHS else "value"
                hint = "use a number such as 8192 or 32k" if kind == "length" else "use a non-negative integer"
                raise InputError(f"invalid {kind} {short_repr(value)}", parameter=option.name, hint=hint)
            return number
        return value

    return check


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = nearest(word, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _explain(error: Any, words: list[str]) -> None:
    """Print a usage error with a suggestion and instructions for getting help."""
    message = str(error.format_message()).split(" (Possible options")[0].split(" Did you mean")[0].rstrip(".")
    context = getattr(error, "ctx", None)
    name = split(words)[0] or next((word for word in words[:1] if word in GROUPS), "")
    flag = str(getattr(error, "option_name", None) or "")
    word = _unknown_word(error, message)
    hint = ""
    if flag.startswith("--") and message.startswith("No such option"):
        hint = option_hint(flag, name, _flags(context) if context else [])
    elif word:
        hint = _did_you_mean(word, list(getattr(context.command, "commands", {}) or _flags(context)) if context else [])
    if " is an option of " not in hint:
        hint = f"{hint} (see {' '.join(filter(None, (PROGRAM, name)))} --help)".strip()
    described = InputError(f"{message[:1].lower()}{message[1:]}", hint=hint)
    print_error(described, words, flag or str(getattr(getattr(error, "param", None), "name", None) or ""))


def _unknown_word(error: Any, message: str) -> str:
    name = getattr(error, "option_name", "") or getattr(error, "command_name", "")
    if name:
        return str(name)
    return message.split("'")[1] if message.startswith("No such command") and message.count("'") > 1 else ""


def _flags(context: Any) -> list[str]:
    return [flag for parameter in context.command.params for flag in parameter.opts if flag.startswith("--")]

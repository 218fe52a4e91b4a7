"""The typer application, made from the same declarations that the quick parser reads.

It prints help, completes words, installs completion, and says what is wrong with a command line.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ..core.errors import InputError, nearest
from .commands import load
from .completion import completer
from .spec import Argument, Command, Parameter
from .table import COMMANDS, GROUPS

PROGRAM = "llmcalc"
BAD_INPUT = 2
HELP = "What an LLM architecture costs, exactly, before anybody builds or buys it."
SETTINGS = {"help_option_names": ["-h", "--help"]}
# typer's own name for it has moved between versions: the base of its exceptions that carry a message for the user
_UsageError: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def run(words: Sequence[str]) -> int:
    """Run a command line by typer and return the exit code."""
    try:
        code = application()(args=list(words), prog_name=PROGRAM, standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except _UsageError as error:
        _explain(error)
        return int(getattr(error, "exit_code", BAD_INPUT))
    return code if isinstance(code, int) else 0


def application(run_by: Callable[[Command], Callable[..., int]] = lambda command: command.run) -> typer.Typer:
    """The application; ``run_by`` says what is called for a command (tests listen there)."""
    app = _typer(HELP)
    app.callback(invoke_without_command=True)(_root)
    groups = {name: _typer(text) for name, text in GROUPS.items()}
    for name in COMMANDS:
        command = load(name)
        *group, word = name.split()
        home = groups[group[0]] if group else app
        epilog = f"Example: {command.example}" if command.example else None
        home.command(word, help=command.help, epilog=epilog, context_settings=SETTINGS)(_callback(command, run_by(command)))
    for name, group_app in groups.items():
        app.add_typer(group_app, name=name)
    return app


def _typer(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, context_settings=SETTINGS, pretty_exceptions_enable=False)


def _root(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False
) -> None:
    if version:
        from .. import __version__

        print(f"{PROGRAM} {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


def _callback(command: Command, target: Callable[..., int]) -> Callable[..., int]:
    """A function with the signature that typer reads its parameters from."""

    def call(**values: Any) -> int:
        for parameter in command.parameters:  # typer gives a list that was not given as None in some versions
            if _is_list(parameter):
                values[parameter.name] = list(values[parameter.name] or ())
        return target(**values)

    parameters = [_parameter(parameter) for parameter in command.parameters]
    call.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": int}
    call.__doc__ = command.help
    return call


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
        flags = (parameter.flag,)
        offered = _choice_completer(parameter.choices) if parameter.choices else complete
        shown = parameter.default not in (None, False)
        what = typer.Option(
            *flags,
            help=parameter.help,
            metavar=parameter.metavar or "|".join(parameter.choices) or None,
            autocompletion=offered,
            callback=_choice_check(parameter.flag, parameter.choices) if parameter.choices else None,
            show_default=shown,
        )
        kind = list[str] if parameter.repeatable else parameter.kind
        kind = kind | None if parameter.default is None and not parameter.repeatable else kind
        default = [] if parameter.repeatable else parameter.default
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, what]
    )


def _choice_completer(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _choice_check(flag: str, choices: tuple[str, ...]) -> Callable[[str | None], str | None]:
    def check(value: str | None) -> str | None:
        if value is not None and value not in choices:
            raise InputError(f"{flag} is {value!r}", hint=_did_you_mean(value, choices) or f"one of {', '.join(choices)}")
        return value

    return check


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = nearest(word, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


def _explain(error: Any) -> None:
    """One message for a mistake in the command line: what, a suggestion, and where help is."""
    message = str(error.format_message()).split(" (Possible options")[0].split(" Did you mean")[0].rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else PROGRAM
    word = _unknown_word(error, message)
    known = list(getattr(context.command, "commands", {}) or _flags(context)) if context else []
    hint = _did_you_mean(word, known) if word else ""
    if message:
        print(f"error: {message[0].lower()}{message[1:]}", file=sys.stderr)
        print(f"  {' '.join(filter(None, (hint, f'({path} --help shows how)')))}", file=sys.stderr)
    elif context:
        print(context.get_help(), file=sys.stderr)


def _unknown_word(error: Any, message: str) -> str:
    name = getattr(error, "option_name", "") or getattr(error, "command_name", "")
    if name:
        return str(name)
    return message.split("'")[1] if message.startswith("No such command") and message.count("'") > 1 else ""


def _flags(context: Any) -> list[str]:
    return [flag for parameter in context.command.params for flag in parameter.opts if flag.startswith("--")]

"""One module per command, each with a ``COMMAND``; none is imported before it is invoked."""

from __future__ import annotations

from importlib import import_module

from ..spec import Command
from ..table import COMMANDS


def load(name: str) -> Command:
    """The declaration of a command of the table, such as ``params`` or ``presets list``."""
    module, _ = COMMANDS[name]
    command = import_module(f".{module}", __name__).COMMAND
    assert isinstance(command, Command)
    return command

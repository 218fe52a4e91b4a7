"""Command modules, grouped by subject. A module is imported only when one of its ``COMMANDS`` is invoked."""

from __future__ import annotations

from importlib import import_module

from ..spec import Command
from ..table import COMMANDS


def load(name: str) -> Command:
    """Load the declaration of a command, such as ``params`` or ``presets list``."""
    commands: tuple[Command, ...] = import_module(f".{COMMANDS[name]}", __name__).COMMANDS
    return next(command for command in commands if command.name == name)

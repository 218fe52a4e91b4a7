"""Width, colour and character set of standard output.

The width is ``COLUMNS`` if it is set, otherwise the width of the terminal, or 100 columns in a pipe or file. A terminal
gets colour unless ``NO_COLOR`` or ``CLICOLOR=0`` is set or ``TERM`` is ``dumb``. ``FORCE_COLOR`` and ``CLICOLOR_FORCE``
request colour everywhere. The argument ``color`` overrides all of them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

COLOR = ("auto", "always", "never")
PIPE_WIDTH, TERMINAL_WIDTH, NARROWEST = 100, 80, 40
OFF = ("", "0", "false")


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return bool(sys.stdout and sys.stdout.isatty())


def terminal_width() -> int:
    """Return the number of columns to fill."""
    given = os.environ.get("COLUMNS", "")
    columns = int(given) if given.isdecimal() else 0
    if not columns and is_terminal():
        with suppress(OSError, ValueError):  # a terminal without a size or a file descriptor
            columns = os.get_terminal_size(sys.stdout.fileno()).columns
        columns = columns or TERMINAL_WIDTH
    return max(columns or PIPE_WIDTH, NARROWEST)


def is_coloured(color: str = COLOR[0]) -> bool:
    """Return whether to print in colour, for one of the values in ``COLOR``."""
    if color != COLOR[0]:
        return color == "always"
    variables = os.environ
    if variables.get("NO_COLOR"):
        return False
    if variables.get("FORCE_COLOR"):
        return variables["FORCE_COLOR"].lower() not in OFF
    if variables.get("CLICOLOR_FORCE", "0") not in OFF:
        return True
    return is_terminal() and variables.get("CLICOLOR") != "0" and variables.get("TERM") not in ("dumb", "unknown")


def is_unicode() -> bool:
    """Return whether standard output can print block characters."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")

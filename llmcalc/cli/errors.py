"""Error messages on standard error, repeated as JSON on standard output if JSON output is requested."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise

from ..core.errors import InputError, nearest, spelled
from ..core.printable import LONGEST_MESSAGE, escaped, escaped_json
from .table import COMMANDS, PROGRAM, split

OTHER_NAMES = {  # options that people type, and ours in the order in which they are suggested
    "--context": ("--seq",),
    "--generate": ("--osl", "--new-tokens"),
    "--gpus": ("--gpu",),
    "--input": ("--isl", "--seq"),
    "--kv": ("--cache",),
    "--kv-cache": ("--cache",),
    "--output-tokens": ("--osl", "--new-tokens"),
    "--prefix-hit": ("--prefix-share",),
    "--prompt": ("--isl", "--seq"),
    "--qlora": ("--lora-rank",),
    "--qps": ("--concurrency",),
    "--request-rate": ("--concurrency",),
    "--requests": ("--concurrency", "--batch"),
    "--rps": ("--concurrency",),
    "--users": ("--concurrency", "--batch"),
}
MOST_COMMANDS = 4  # named as commands that have an option


def print_error(error: InputError, words: Sequence[str], parameter: str = "") -> None:
    """Print the error of a command line. ``parameter`` is an invalid option as typed."""
    text = f"error: {escaped(str(error), LONGEST_MESSAGE)}"
    print(_wrapped(text) if sys.stderr and sys.stderr.isatty() else text, file=sys.stderr)
    if _wants_json(words):
        import json

        from ..report.json_envelope import error_envelope
        from .output import write_text

        name, arguments = split(list(words))[0], list(words)
        found = {"message": error.message, "hint": spelled(error.hint), "parameter": error.parameter or parameter}
        envelope = error_envelope(name, arguments, {**found, "where": error.where})
        write_text(escaped_json(json.dumps(envelope, indent=2, ensure_ascii=False)))


def _wrapped(text: str) -> str:
    """Wrap the lines that are longer than the terminal is wide, with their indentation."""
    from ..report.terminal import terminal_width

    width, lines = terminal_width(), []
    for line in text.split("\n"):
        if len(line) > width:
            import textwrap

            indent = " " * (len(line) - len(line.lstrip()) or 2)
            line = textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        lines.append(line)
    return "\n".join(lines)


def _wants_json(words: Sequence[str]) -> bool:
    return "--json" in words or "--format=json" in words or ("--format", "json") in pairwise(words)


def option_hint(flag: str, command_name: str, own: Sequence[str]) -> str:
    """Suggest a similar option of the command for an unknown one, or a command that has an option of this very name."""
    from ..core.aliases import ENGINE_OPTIONS
    from .commands import load

    if same := next((name for name in OTHER_NAMES.get(flag, ()) if name in own), None):
        return f"did you mean {same}?"
    same = ENGINE_OPTIONS.get(flag, flag)
    owners = [command for name in COMMANDS if name != command_name and same in (command := load(name)).options]
    if not owners:
        known = {name: name for name in own} | {name: ours for name, ours in ENGINE_OPTIONS.items() if ours in own}
        near = dict.fromkeys(known[name] for name in nearest(flag, known))
        return f"did you mean {' or '.join(near)}?" if near else ""
    names = [command.name for command in owners[:MOST_COMMANDS]]
    if len(owners) > MOST_COMMANDS:
        names[-1] = "other commands"
    *most, last = names
    listed = f"{', '.join(most)} and {last}" if most else last
    words = [argument.metavar for argument in owners[0].arguments if argument.least]
    line = " ".join((PROGRAM, owners[0].name, *words, owners[0].options[same].label))
    return f"{same} is an option of {listed}: {line}"

"""Plain data as the text of a preset: one line for what fits on one, a block of lines for the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .scalars import read_scalar

WIDTH = 120
_DEEPEST = 3  # braces within braces that are still read at a glance
_STEP = "  "
_PLAIN = re.compile(r"[A-Za-z_$(][^:#{}\[\],\"'\n\r\t&]*")


def write(data: dict[str, Any], comment: tuple[str, ...] = ()) -> str:
    """The text of a preset file, with lines of comment at its head."""
    head = [f"# {' '.join(line.split())}" for line in comment]
    return "\n".join([*head, *(line for key, value in data.items() for line in _lines(str(key), value, ""))]) + "\n"


def _lines(key: str, value: Any, indent: str) -> Iterator[str]:
    start = f"{indent}{_scalar(key)}:"
    whole = f"{start} {_flow(value)}"
    if not isinstance(value, dict | list) or not value or (_depth(value) <= _DEEPEST and len(whole) <= WIDTH):
        yield whole
    elif isinstance(value, list):
        yield start
        for item in value:
            yield from _wrapped(f"{indent}{_STEP}- ", item)
    elif any(isinstance(item, dict | list) for item in value.values()):
        yield start
        for name, item in value.items():
            yield from _lines(str(name), item, indent + _STEP)
    else:
        yield from _wrapped(f"{start} ", value)


def _wrapped(start: str, value: Any) -> Iterator[str]:
    """A mapping or list of scalars over several lines, below its first entry; anything else on one line."""
    if not isinstance(value, dict):
        yield f"{start}{_flow(value)}"
        return
    line, hanging = f"{start}{{", " " * (len(start) + 1)
    entries = [f"{_scalar(str(key))}: {_flow(item)}" for key, item in value.items()]
    for number, entry in enumerate(entries):
        end = "}" if number == len(entries) - 1 else ","
        space = "" if line in (hanging, f"{start}{{") else " "
        if space and len(line) + len(space) + len(entry) + len(end) > WIDTH:
            yield line
            line, space = hanging, ""
        line += f"{space}{entry}{end}"
    yield line


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """A scalar that reads back as itself: plain where that is safe, else quoted as JSON, which YAML contains."""
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return repr(value)
    plain = _PLAIN.fullmatch(value) and value == value.strip() and value.isprintable() and read_scalar(value) == value
    return value if plain else json.dumps(value)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return max(map(_depth, value), default=0) if isinstance(value, list) else 0

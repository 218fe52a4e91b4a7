"""YAML writer that uses flow style for values that fit on one line and block style for other values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import isfinite
from textwrap import wrap
from typing import Any

from .plain_data import read_scalar

WIDTH = 120
_MAX_FLOW_DEPTH = 3  # deepest nesting on one line
_STEP = "  "
_PLAIN_NUMBERS = (1e-3, 1e4)  # numbers outside this range are written with an exponent
_PLAIN = re.compile(r"[A-Za-z0-9_$(][^:#{}\[\],\"'\n\r\t&]*")


def write(data: dict[str, Any], comment: tuple[str, ...] = ()) -> str:
    """Format ``data`` as YAML, with comment lines at the top."""
    head = [f"# {' '.join(line.split())}" for line in comment]
    return "\n".join([*head, *(line for key, value in data.items() for line in _lines(str(key), value, ""))]) + "\n"


def _lines(key: str, value: Any, indent: str) -> Iterator[str]:
    start = f"{indent}{_scalar(key)}:"
    whole = f"{start} {_flow(value)}"
    if not isinstance(value, dict | list) or not value or (_depth(value) <= _MAX_FLOW_DEPTH and len(whole) <= WIDTH):
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
    """Wrap a mapping of scalars or a long string over several lines, and write a list on one line."""
    if not isinstance(value, dict) or not value:
        whole = f"{start}{_flow(value)}"
        yield from _folded(start, value) if isinstance(value, str) and len(whole) > WIDTH else [whole]
        return
    lines = [f"{start}{{"]
    hanging = " " * len(lines[0])
    for number, (key, item) in enumerate(value.items()):
        name, end = f"{_scalar(str(key))}: ", "}" if number == len(value) - 1 else ","
        entry = f"{name}{_flow(item)}{end}"
        if not number or len(lines[-1]) + 1 + len(entry) <= WIDTH:
            lines[-1] += f"{' ' * bool(number)}{entry}"
        elif isinstance(item, str) and len(hanging) + len(entry) > WIDTH:
            lines += _folded(f"{hanging}{name}", item)
            lines[-1] += end
        else:
            lines.append(f"{hanging}{entry}")
    yield from lines


def _folded(start: str, text: str) -> list[str]:
    """Format a long string in quotation marks, wrapped at single spaces."""
    quoted, hanging = _quoted(text), " " * (len(start) + 1)
    lines = wrap(quoted, WIDTH - len(hanging), break_long_words=False, break_on_hyphens=False)
    if not text.isprintable() or " ".join(lines) != quoted or "\\" in quoted:
        return [f"{start}{_quoted(text)}"]
    return [f"{start}{lines[0]}", *(f"{hanging}{line}" for line in lines[1:])]


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """Format a scalar so that it reads back unchanged, unquoted if possible and quoted as in JSON otherwise."""
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if type(value) is float:
        return _short(value)
    if not isinstance(value, str):
        return repr(value)
    plain = _PLAIN.fullmatch(value) and value == value.strip() and value.isprintable() and read_scalar(value) == value
    return value if plain else _quoted(value)


def _quoted(text: str) -> str:
    """Quote a string and escape unprintable characters."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08x}" for sign in quoted)


def _short(value: float) -> str:
    """Format a number in its shortest notation, such as 1.746e11 or 0.02."""
    if not isfinite(value):
        return f"{value:+}".removeprefix("+").replace("inf", ".inf").replace("nan", ".nan")
    if _PLAIN_NUMBERS[0] <= abs(value) < _PLAIN_NUMBERS[1] or not value:
        return repr(value)
    spellings = (
        repr(value),
        *(f"{value:.{digits}e}".replace("e+", "e").replace("e0", "e").replace("e-0", "e-") for digits in range(6)),
    )
    return min((text for text in spellings if float(text) == value), key=len)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return max(map(_depth, value), default=0) if isinstance(value, list) else 0

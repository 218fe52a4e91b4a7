"""Plain scalars by YAML 1.2's core schema, for files and for ``--set`` alike; needs no YAML parser.

``no`` and ``yes`` are texts, ``1e-5`` is a number, ``0o7`` is 7. One liberty: ``1_000`` is 1000, as in Python.
"""

from __future__ import annotations

import re
from typing import Any

from ..core.errors import DescriptionError

MOST_DIGITS = 300

_WORDS: dict[str, Any] = dict.fromkeys(("~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")) | {"-.inf": float("-inf")}
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan"))

_DECIMAL = re.compile(r"[-+]?[0-9]+(_[0-9]+)*")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASED = {"0o": (re.compile(r"0o[0-7]+"), 8), "0x": (re.compile(r"0x[0-9a-fA-F]+"), 16)}


def read_scalar(text: str) -> Any:
    """The value of a plain (unquoted) scalar.

    >>> [read_scalar(text) for text in ("12", "1e-5", "true", "no", "0o17", "gelu")]
    [12, 1e-05, True, 'no', 15, 'gelu']

    Raises:
        DescriptionError: a number of more digits than any size has.
    """
    if text in _WORDS:
        return _WORDS[text]
    pattern, base = _BASED.get(text[:2], (_DECIMAL, 10))
    if pattern.fullmatch(text):
        if len(text) > MOST_DIGITS:
            raise DescriptionError(f"a number of {len(text):,} digits; {MOST_DIGITS} are the most")
        return int(text.replace("_", "").removeprefix(text[:2] if base != 10 else ""), base)
    return float(text) if _FLOAT.fullmatch(text) else text

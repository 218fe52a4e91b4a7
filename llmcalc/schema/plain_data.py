"""Size limits and scalar values of YAML files and overrides, independent of a YAML parser.

Scalars follow the YAML 1.2 core schema. For example, ``no`` and ``yes`` are strings, ``1e-5`` is a number, and
``0o7`` is 7. As an extension, ``1_000`` is 1000 as in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from ..core.errors import DescriptionError, InputError
from ..core.type_names import Any

MAX_FILE_SIZE = 2_000_000
MAX_CONFIG_SIZE = 10_000_000  # of a config.json, which may list every module or label
MAX_DEPTH = 40
MAX_VALUES = 100_000
MAX_CONFIG_VALUES = 500_000
MAX_DIGITS = 300

_WORDS: dict[str, Any] = dict.fromkeys(("~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")) | {"-.inf": float("-inf")}
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan"))


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], dict[str, tuple[re.Pattern[str], int]]]:
    """Return the patterns of decimal integers, of floats, and of the other bases by prefix."""
    based = {"0o": (re.compile(r"0o[0-7]+"), 8), "0x": (re.compile(r"0x[0-9a-fA-F]+"), 16)}
    real = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    return re.compile(r"[-+]?[0-9]+(_[0-9]+)*"), re.compile(real), based


@contextmanager
def changed_errors(change: Callable[[InputError], InputError]) -> Iterator[None]:
    """Raise what ``change`` returns for an error, such as the same error with a location."""
    try:
        yield
    except InputError as error:
        raise change(error) from None


def check_bounds(data: Any, where: str) -> None:
    """Check that plain data does not exceed the limits for configs."""
    level, nodes = [data], 0
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for value in level:
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
            nodes += len(parts)
            if nodes > MAX_CONFIG_VALUES:
                raise DescriptionError(f"more than {MAX_CONFIG_VALUES:,} values", where=where)
            inner.extend(parts)
        if not inner:
            return
        level = inner
    raise DescriptionError(f"nested deeper than {MAX_DEPTH} levels", where=where)


def read_scalar(text: str) -> Any:
    """Return the value of a plain (unquoted) scalar.

    >>> [read_scalar(text) for text in ("12", "1e-5", "true", "no", "0o17", "gelu")]
    [12, 1e-05, True, 'no', 15, 'gelu']
    """
    if text in _WORDS:
        return _WORDS[text]
    decimal, real, based = _patterns()
    pattern, base = based.get(text[:2], (decimal, 10))
    if pattern.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise DescriptionError(f"a number with {len(text):,} digits exceeds the limit of {MAX_DIGITS} digits")
        return int(text.replace("_", "").removeprefix(text[:2] if base != 10 else ""), base)
    return float(text) if real.fullmatch(text) else text


def mapping_at(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping at a key, or an empty mapping if the key is missing or null."""
    value = data.get(key)
    return {} if value is None else value

"""Strict JSON parsing for configs and index files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .errors import DescriptionError, short_repr


def first_repeated(names: Iterable[str]) -> str:
    """Return the first name that occurs more than once. The caller must ensure that there is a duplicate."""
    return next(name for name, count in Counter(names).items() if count > 1)


def read_json(text: str, where: str) -> Any:
    """Parse a JSON object. Duplicate keys raise an error, whereas ``Infinity`` and ``NaN`` are allowed."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) != len(pairs):
            twice = short_repr(first_repeated(key for key, _ in pairs))
            raise DescriptionError(f"duplicate key {twice}", where=where)
        return data

    try:
        data = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DescriptionError(f"invalid JSON: {error.msg}", where=f"{where}:{error.lineno}:{error.colno}") from None
    except RecursionError:
        raise DescriptionError("JSON is nested too deeply", where=where) from None
    except ValueError as error:  # an integer above Python's digit limit
        raise DescriptionError(f"invalid JSON: {error}", where=where) from None
    if not isinstance(data, dict):
        raise DescriptionError(f"a config must be a JSON object, not {short_repr(data)}", where=where)
    return data

"""JSON as configs and indexes hold it, read strictly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.errors import DescriptionError, shown


def first_repeated(names: Iterable[str]) -> str:
    """The first name that was there before, of names of which one was."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name is there twice")


def read_json(text: str, where: str) -> Any:
    """JSON, strictly: a duplicate key is an error; ``Infinity`` and ``NaN``, which configs hold, are read."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) != len(pairs):
            twice = shown(first_repeated(key for key, _ in pairs))
            raise DescriptionError(f"the key {twice} stands twice in one object", where=where)
        return data

    try:
        data = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise DescriptionError(f"no valid JSON: {error.msg}", where=f"{where}:{error.lineno}:{error.colno}") from None
    except RecursionError:
        raise DescriptionError("nested too deeply", where=where) from None
    except ValueError as error:  # an integer of more digits than the interpreter reads
        raise DescriptionError(f"no valid JSON: {error}", where=where) from None
    if not isinstance(data, dict):
        raise DescriptionError(f"a config is an object, not {shown(data)}", where=where)
    return data

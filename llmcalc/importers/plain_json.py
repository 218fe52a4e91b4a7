"""JSON as configs and indexes hold it, read strictly."""

from __future__ import annotations

from typing import Any

from ..core.errors import DescriptionError, shown


def read_json(text: str, where: str) -> Any:
    """JSON, strictly: a duplicate key is an error; ``Infinity`` and ``NaN``, which configs hold, are read."""
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        data = dict(pairs)
        if len(data) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise DescriptionError(f"the key {shown(twice)} stands twice in one object", where=where)
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

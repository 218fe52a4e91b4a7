"""The keys of a preset file and what each may hold, checked before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import DescriptionError, UnknownNameError, shown

_TEXT, _MAPPING, _LIST, _YEAR = "a text", "a mapping", "a list of texts", "a year"
KEYS: dict[str, str] = {
    "name": _TEXT,
    "title": _TEXT,
    "family": _TEXT,
    "year": _YEAR,
    "source": _TEXT,
    "status": _TEXT,
    "base": _TEXT,
    "default": _TEXT,
    "aliases": _MAPPING,
    "variables": _MAPPING,
    "architecture": _MAPPING,
    "sizes": _MAPPING,
    "expect": _MAPPING,
    "notes": _MAPPING,
    "facts": _MAPPING,
    "layout": _TEXT,
    "unmodelled": _LIST,
}
STATUSES = ("published", "rumoured")


def check_envelope(data: Any) -> None:
    """Raise unless ``data`` has a preset's keys alone, each of its type; null stands for a key left out.

    Raises:
        UnknownNameError: a key that no preset has.
        DescriptionError: a key of another type, or no name.
    """
    if not isinstance(data, dict):
        raise DescriptionError(f"a preset is a mapping, not {shown(data)}").under(())
    for key, value in data.items():
        if key not in KEYS:
            raise UnknownNameError("key of a preset", key, KEYS).under((key,))
        if value is not None and not _fits(KEYS[key], value):
            raise DescriptionError(f"{key} is {KEYS[key]}, not {shown(value)}").under((key,))
    if not data.get("name"):
        raise DescriptionError("a preset has a name").under(())
    status = data.get("status")
    if status is not None and status not in STATUSES:
        raise UnknownNameError("status", status, STATUSES, hint=f"it is {' or '.join(STATUSES)}").under(("status",))
    _check_sizes(data)


def mapping_at(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A key that holds a mapping; empty if it is left out."""
    value = data.get(key)
    return {} if value is None else value


def _fits(wanted: str, value: Any) -> bool:
    if wanted == _MAPPING:
        return isinstance(value, dict)
    if wanted == _LIST:
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    if wanted == _YEAR:
        return type(value) is int
    # a size or a model may be called 13 in a file without quotation marks
    return isinstance(value, str) or type(value) is int


def _check_sizes(data: Mapping[str, Any]) -> None:
    sizes = mapping_at(data, "sizes")
    for size, variables in sizes.items():
        if not isinstance(variables, dict | None):
            message = f"a size is a mapping of variables, not {shown(variables)}"
            raise DescriptionError(message).under(("sizes", size))
    for size, items in mapping_at(data, "expect").items():
        if not isinstance(items, list | None):
            message = f"what a size is expected to give is a list, not {shown(items)}"
            raise DescriptionError(message).under(("expect", size))
        if size not in sizes:
            raise UnknownNameError("size", size, sizes).under(("expect", size))
    for size, items in mapping_at(data, "facts").items():
        if not isinstance(items, list | None):
            message = f"what is published of a training is a list of facts, not {shown(items)}"
            raise DescriptionError(message).under(("facts", size))
        if size not in sizes and size != "all":
            raise UnknownNameError("size", size, [*sizes, "all"]).under(("facts", size))
    for alias, size in mapping_at(data, "aliases").items():
        if size is not None and str(size) not in sizes:
            raise UnknownNameError("size", size, sizes).under(("aliases", alias))

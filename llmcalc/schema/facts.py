"""What is published about a preset: figures that it must reproduce, and notes that every result shows."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..core.architecture import Expectation
from ..core.errors import DescriptionError, shown
from .envelope import part

FIGURE_KEYS = ("quantity", "value", "tolerance", "source", "printed", "note")
FIGURE_NEEDED = {"quantity", "value", "source"}


def expectations(data: dict[str, Any], size: str | None) -> tuple[Expectation, ...]:
    """The published figures of a size."""
    items = part(data, "expect").get(size or "") or []
    return tuple(_expectation(item, ("expect", size, index)) for index, item in enumerate(items))


def _expectation(item: Any, path: tuple[Any, ...]) -> Expectation:
    if not isinstance(item, dict) or not set(item) >= FIGURE_NEEDED or not set(item) <= set(FIGURE_KEYS):
        raise DescriptionError(f"{shown(item)} is no expectation; it has the keys {', '.join(FIGURE_KEYS)}").under(path)
    value, tolerance = item["value"], _ratio(item.get("tolerance", 0))
    if not (_is_number(value) and _is_number(tolerance) and tolerance >= 0):
        message = f"{shown(item)}: value and tolerance are numbers, such as 1.0e9 and 0.5%"
        raise DescriptionError(message).under(path)
    texts = {key: str(item.get(key) or "") for key in ("quantity", "source", "printed", "note")}
    return Expectation(value=value, tolerance=tolerance, **texts)


def _ratio(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        with suppress(ValueError):
            return float(value[:-1]) / 100
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")


def notes(data: dict[str, Any], size: str | None) -> tuple[str, ...]:
    """The notes for all sizes, then those of this one."""
    found: list[str] = []
    for key in ("all", size or ""):
        value = part(data, "notes").get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(note, str) for note in listed):
            raise DescriptionError(f"{shown(value)} is no note; it is a text or a list of texts").under(("notes", key))
        found.extend(listed)
    return tuple(found)

"""What is published about a preset: figures that it must reproduce, facts of its training, and notes.

expect: {175b: [{quantity: total, value: 174.6e9, tolerance: 0.03%, source: "brown2020 Table D.1"}]}
facts: {all: [{quantity: training_tokens, value: 300e9, source: "brown2020 Table 2.1"}]}
notes: {all: what every result shows}
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..core.architecture import Expectation, TrainingFact
from ..core.errors import DescriptionError, UnknownNameError, shown
from ..core.record import fields
from .envelope import mapping_at

FIGURE_KEYS = ("quantity", "value", "tolerance", "source", "printed", "note")
FIGURE_NEEDED = {"quantity", "value", "source"}
FACT_KEYS = ("quantity", "value", "source", "printed", "note", "confirmed")
# what may be known of a training run, and its unit; a text where there is none
TRAINING_UNITS = {
    "training_tokens": "tokens",
    "training_flops": "FLOPs",
    "accelerator": "",
    "accelerators": "accelerators",
    "accelerator_hours": "hours",
    "training_days": "days",
}


def expectations(data: dict[str, Any], size: str | None) -> tuple[Expectation, ...]:
    """The published figures of a size."""
    items = mapping_at(data, "expect").get(size or "") or []
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


def to_entry(entry: Expectation | TrainingFact) -> dict[str, Any]:
    """A published figure or fact as a file says it, without what needs no word."""
    return {
        field.name: getattr(entry, field.name)
        for field in fields(entry)
        if field.name in FIGURE_NEEDED or getattr(entry, field.name) != field.default
    }


def _ratio(value: Any) -> Any:
    if isinstance(value, str) and value.endswith("%"):
        with suppress(ValueError):
            return float(value[:-1]) / 100
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < float("inf")


def training_facts(data: dict[str, Any], size: str | None) -> tuple[TrainingFact, ...]:
    """What is published of the training of all sizes, then of this one; a size may say otherwise than all."""
    found: dict[tuple[str, str], TrainingFact] = {}
    for key in ("all", size or ""):
        facts = [
            _fact(item, ("facts", key, index)) for index, item in enumerate(mapping_at(data, "facts").get(key) or [])
        ]
        own = {fact.quantity for fact in facts}
        found = {place: fact for place, fact in found.items() if fact.quantity not in own}
        found |= {(fact.quantity, fact.source): fact for fact in facts}
    return tuple(found.values())


def _fact(item: Any, path: tuple[Any, ...]) -> TrainingFact:
    if not isinstance(item, dict) or not set(item) >= FIGURE_NEEDED or not set(item) <= set(FACT_KEYS):
        raise DescriptionError(f"{shown(item)} is no fact; it has the keys {', '.join(FACT_KEYS)}").under(path)
    quantity, value, confirmed = item["quantity"], item["value"], item.get("confirmed", True)
    if quantity not in TRAINING_UNITS:
        raise UnknownNameError("fact of a training", quantity, TRAINING_UNITS).under((*path, "quantity"))
    if not (_is_number(value) and value > 0 if TRAINING_UNITS[quantity] else isinstance(value, str)):
        wanted = f"a number of {TRAINING_UNITS[quantity]}" if TRAINING_UNITS[quantity] else "a text"
        raise DescriptionError(f"{quantity} is {shown(value)}; it is {wanted}").under((*path, "value"))
    if type(confirmed) is not bool:
        raise DescriptionError(f"confirmed is {shown(confirmed)}; it is true or false").under((*path, "confirmed"))
    texts = {key: str(item.get(key) or "") for key in ("source", "printed", "note")}
    return TrainingFact(quantity, value, confirmed=confirmed, **texts)


def notes(data: dict[str, Any], size: str | None) -> tuple[str, ...]:
    """The notes for all sizes, then those of this one."""
    found: list[str] = []
    for key in ("all", size or ""):
        value = mapping_at(data, "notes").get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(note, str) for note in listed):
            raise DescriptionError(f"{shown(value)} is no note; it is a text or a list of texts").under(("notes", key))
        found.extend(listed)
    return tuple(found)

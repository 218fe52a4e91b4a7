"""Layer kinds that a preset defines, as the plain data of its key ``kinds``, and their differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.architecture import Architecture
from ..core.description.text_definition import TextField, TextKind
from ..core.description.text_kind import TextLayer
from ..core.errors import DescriptionError
from ..core.ledger import stack_entries
from ..core.record import fields
from .text_kinds import WIDTH


def write_kinds(architecture: Architecture) -> dict[str, Any]:
    """Return the definitions of an architecture's preset-defined layer kinds as plain data."""
    stacks = [*architecture.stacks, *(extra.stack for extra in architecture.extras)]
    used = dict.fromkeys(type(entry.layer) for stack in stacks for entry in stack_entries(stack))
    found: dict[str, Any] = {}
    for kind in (kind for kind in used if issubclass(kind, TextLayer)):
        data = _plain(kind.definition)
        if found.setdefault(kind.kind(), data) != data:
            raise DescriptionError(f"two kinds are named {kind.kind()}", where=architecture.name)
    return found


def definition_differences(first: TextKind, second: TextKind) -> Iterator[tuple[str, str, str]]:
    """Yield each key that differs, with the entries found only in the first or only in the second definition."""
    one, other = ({key: _entry_texts(entries) for key, entries in _plain(kind).items()} for kind in (first, second))
    for key in dict.fromkeys((*one, *other)):
        here, there = one.get(key, []), other.get(key, [])
        if here != there:
            only = [[text for text in mine if text not in others] for mine, others in ((here, there), (there, here))]
            left, right = ("; ".join(texts) for texts in (only if any(only) else (here, there)))
            yield key, left, right


def _entry_texts(entries: Any) -> list[str]:
    """Convert the entries of a key to a list of strings."""
    if isinstance(entries, dict):
        return [f"{key}: {value}" for key, value in entries.items()]
    return [str(entry) for entry in entries] if isinstance(entries, list) else [str(entries)]


def _plain(kind: TextKind) -> dict[str, Any]:
    mask, width = kind.mask
    data = {
        "description": kind.description,
        "source": kind.source,
        "fields": {field.name: _plain_field(field) for field in kind.fields if field != TextField(WIDTH)},
        "axes": {axis.symbol: _plain_entry(axis, "symbol", "length", "size") for axis in kind.axes},
        "tensors": [_plain_entry(tensor, "", "spec", "tensor") for tensor in kind.tensors],
        "equations": list(kind.equations),
        "state": [_plain_entry(state, "", "spec", "tensor") for state in kind.states],
        "mask": {mask: width} if width else mask,
    }
    return {key: value for key, value in data.items() if value}


def _plain_field(field: TextField) -> Any:
    if field.default is None:
        return field.type
    return f"${field.default}" if field.is_derived else field.default


def _plain_entry(entry: Any, omitted: str, first: str, key: str) -> Any:
    """Return the value of the field ``first``, or a mapping if other fields differ from their defaults."""
    rest = {
        name: list(value) if isinstance(value, tuple) else value
        for name, _, usual in fields(entry)
        if name not in (omitted, first) and (value := getattr(entry, name)) != usual
    }
    return {key: getattr(entry, first), **rest} if rest else getattr(entry, first)

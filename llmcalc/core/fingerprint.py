"""Architecture fingerprints that depend on the mathematics but not on names or sources."""

from __future__ import annotations

from typing import Any

from .aliases import (
    FIRST_FIELDS,
    LAYER_CHOICES,
    LAYER_FIELDS,
    LAYER_KINDS,
    STACK_KEYS,
    STACK_ROLES,
    SUBLAYER_KEYS,
    old_names,
)
from .architecture import Architecture, Block, Stack, Sublayer
from .flat_fields import flat_fields
from .layer import Layer
from .record import MISSING, fields, is_record

# Renamed kinds, fields and choices keep their first name in the text, so that stored fingerprints stay valid.
_STACK_KEYS, _SUBLAYER_KEYS = old_names(STACK_KEYS), old_names(SUBLAYER_KEYS)
_LAYER_FIELDS = {kind: old_names(aliases) for kind, aliases in LAYER_FIELDS.items()}
_LAYER_KINDS = {kind: "".join(map(str.title, old.split("_"))) for kind, old in old_names(LAYER_KINDS).items()}
_LAYER_CHOICES = {kind: {name: old_names(words) for name, words in of.items()} for kind, of in LAYER_CHOICES.items()}
_STACK_CHOICES = {"role": old_names(STACK_ROLES)}


def fingerprint(architecture: Architecture) -> str:
    """Return the ``sha256:`` digest of stacks and extras, ignoring titles, notes, sources and reasons."""
    from hashlib import sha256

    extras = tuple((extra.name, extra.stack) for extra in architecture.extras)
    text = canonical((architecture.stacks, extras), {})
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def canonical(value: object, known: dict[int, str] | None = None) -> str:
    """Return the canonical text of a value. Defaults are omitted so that new fields do not change fingerprints.

    ``known`` collects the texts of blocks by identity, because many runs contain the same block.

    >>> from llmcalc.layers.norm import Norm
    >>> canonical((Norm(8), Norm(d_model=8, function="rmsnorm"), 2))
    '(Norm(d_model=8),Norm(d_model=8),2)'
    """
    if known is not None and isinstance(value, Block):
        text = known.get(id(value)) or canonical(value)
        known[id(value)] = text
        return text
    if is_record(value):
        own = _first_fields(value)
        kind, names, choices = _first_names(value)
        text = ",".join(
            f"{names.get(name, name)}={canonical(choices[name].get(item, item) if name in choices else item, known)}"
            for name, item, usual in own
            if usual is MISSING or item != usual
        )
        return f"{kind}({text})"
    if isinstance(value, tuple):
        return f"({','.join(canonical(item, known) for item in value)})"
    return repr(value)


def _first_fields(value: Any) -> list[tuple[str, Any, Any]]:
    """Return (name, value, default) for all fields in their original order. Flat fields replace the fields of
    parts.
    """
    if not isinstance(value, Layer) or not value.PARTS:
        return [(entry.name, getattr(value, entry.name), entry.default) for entry in fields(value)]
    kinds = [base.kind() for base in type(value).__mro__ if issubclass(base, Layer)]
    named = next((FIRST_FIELDS[kind] for kind in kinds if kind in FIRST_FIELDS), "").split()
    places = {name: place for place, name in enumerate(named)}
    return sorted(flat_fields(value), key=lambda entry: places.get(entry[0], len(places)))


def _first_names(value: object) -> tuple[str, dict[str, str], dict[str, dict[str, str]]]:
    """Return the original names of a record's class, fields and choices."""
    name = type(value).__name__
    if isinstance(value, Layer):
        kind = value.kind()
        return _LAYER_KINDS.get(kind, value.signature()), _LAYER_FIELDS.get(kind, {}), _LAYER_CHOICES.get(kind, {})
    if isinstance(value, Stack):
        return name, _STACK_KEYS, _STACK_CHOICES
    return name, _SUBLAYER_KEYS if isinstance(value, Sublayer) else {}, {}

"""A short identity of an architecture: equal for equal mathematics, whatever it is called and wherever it came from."""

from __future__ import annotations

from .aliases import LAYER_FIELDS, STACK_KEYS, STACK_ROLES, SUBLAYER_KEYS, old_names
from .architecture import Architecture, Stack, Sublayer
from .layer import Layer
from .record import MISSING, fields, is_record

# Renamed fields keep their first name in the text, so that stored fingerprints stay valid.
_STACK_KEYS, _SUBLAYER_KEYS = old_names(STACK_KEYS), old_names(SUBLAYER_KEYS)
_LAYER_FIELDS = {kind: old_names(aliases) for kind, aliases in LAYER_FIELDS.items()}
_ROLES = old_names(STACK_ROLES)


def fingerprint(architecture: Architecture) -> str:
    """``sha256:`` and the digest of the canonical text of stacks and extras; titles, notes and sources don't count."""
    from hashlib import sha256

    text = canonical((architecture.stacks, architecture.extras))
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def canonical(value: object) -> str:
    """A value as text. Fields at their default are left out, so that a new field changes no old fingerprint.

    >>> from llmcalc.layers.norm import Norm
    >>> canonical((Norm(8), Norm(d_model=8, function="rmsnorm"), 2))
    '(Norm(d_model=8),Norm(d_model=8),2)'
    """
    if is_record(value):
        own = [(entry.name, getattr(value, entry.name), entry.default) for entry in fields(value)]
        first = _first_names(value)
        text = ",".join(
            f"{first.get(name, name)}={canonical(_ROLES.get(item, item) if name == 'role' else item)}"
            for name, item, usual in own
            if usual is MISSING or item != usual
        )
        return f"{type(value).__name__}({text})"
    if isinstance(value, tuple):
        return f"({','.join(map(canonical, value))})"
    return repr(value)


def _first_names(value: object) -> dict[str, str]:
    if isinstance(value, Layer):
        return _LAYER_FIELDS.get(value.kind(), {})
    return _STACK_KEYS if isinstance(value, Stack) else _SUBLAYER_KEYS if isinstance(value, Sublayer) else {}

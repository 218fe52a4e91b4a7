"""A short identity of an architecture: equal for equal mathematics, whatever it is called and wherever it came from."""

from __future__ import annotations

from .architecture import Architecture
from .record import MISSING, fields, is_record


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
        text = ",".join(f"{name}={canonical(item)}" for name, item, usual in own if usual is MISSING or item != usual)
        return f"{type(value).__name__}({text})"
    if isinstance(value, tuple):
        return f"({','.join(map(canonical, value))})"
    return repr(value)

"""Architecture fingerprints that depend on the mathematics but not on names or sources."""

from __future__ import annotations

from ..architecture import Architecture, Block
from ..layer import Layer
from ..record import MISSING, fields, is_record


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
        own = ((field.name, getattr(value, field.name), field.default) for field in fields(value))
        given = (f"{name}={canonical(item, known)}" for name, item, usual in own if usual is MISSING or item != usual)
        return f"{value.signature() if isinstance(value, Layer) else type(value).__name__}({','.join(given)})"
    if isinstance(value, tuple):
        return f"({','.join(canonical(item, known) for item in value)})"
    return repr(value)

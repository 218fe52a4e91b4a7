"""RoPE scaling methods and their checks, shared by the kinds with rotary positions."""

from __future__ import annotations

from ..core.errors import SizeError
from ..core.layer import Layer

ROPE_SCALINGS = ("none", "linear", "dynamic", "llama3", "yarn", "longrope", "proportional", "other")
WIDTHS = (
    "rotary_dim",
    "qk_rope_head_dim",
    "d_head",
)  # rotated width of a head: the first of these fields that a kind has


def rotated(kind: Layer) -> str:
    """The field with the rotated width of a head."""
    return next(name for name in WIDTHS if hasattr(kind, name))


def check_factors(layer: Layer, scaling: str, factors: str) -> None:
    """Raise a SizeError unless ``rope_factors`` fits the scaling method and the number of rotated pairs."""
    if (scaling == "longrope") != bool(factors):
        raise SizeError("rope_factors must be set with rope_scaling: longrope, and only then", where=layer.kind())
    if not factors:
        return
    pairs, parts = getattr(layer, rotated(layer)) // 2, [part.split() for part in factors.split("|")]
    if len(parts) != 2 or any(len(part) != pairs for part in parts):
        counts = " | ".join(str(len(part)) for part in parts)
        text = f"rope_factors has {counts} numbers; it must have {pairs} | {pairs}, one per rotated pair"
        raise SizeError(text, where=layer.kind())
    if not all(_is_positive(number) for part in parts for number in part):
        raise SizeError("rope_factors must contain positive numbers only", where=layer.kind())


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False

"""How rotary angles are stretched: the rules that kinds with rotary positions know, and what they check alike."""

from __future__ import annotations

from ..core.errors import SizeError
from ..core.layer import Layer

ROPE_SCALINGS = ("none", "linear", "dynamic", "llama3", "yarn", "longrope", "proportional", "other")
WIDTHS = ("rotary_dim", "qk_rope_head_dim", "d_head")  # of what is rotated of a head: the first that a kind has


def rotated(kind: Layer) -> str:
    """The field that says how much of a head is rotated."""
    return next(name for name in WIDTHS if hasattr(kind, name))


def check_factors(layer: Layer, scaling: str, factors: str) -> None:
    """Raise a SizeError unless a layer has factors for short texts and for long ones just where it needs them."""
    if (scaling == "longrope") != bool(factors):
        raise SizeError("rope_factors goes with rope_scaling: longrope, and only with it", where=layer.kind())
    if not factors:
        return
    pairs, parts = getattr(layer, rotated(layer)) // 2, [part.split() for part in factors.split("|")]
    if len(parts) != 2 or any(len(part) != pairs for part in parts):
        counts = " | ".join(str(len(part)) for part in parts)
        text = f"rope_factors has {counts} numbers; it has one for each of {pairs} pairs, a bar, and as many again"
        raise SizeError(text, where=layer.kind())
    if not all(_is_positive(number) for part in parts for number in part):
        raise SizeError("rope_factors has an entry that is no number above 0", where=layer.kind())


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False

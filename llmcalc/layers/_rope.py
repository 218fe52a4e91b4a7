"""RoPE scaling methods and checks shared by the layer kinds with rotary positions."""

from __future__ import annotations

from typing import Any

ROPE_SCALINGS = ("none", "linear", "dynamic", "llama3", "yarn", "longrope", "proportional", "other")
WIDTHS = ("rotary_dim", "qk_rope_head_dim", "d_head")  # fields for the rotated width of a head, by priority


def check_factors(layer: Any) -> None:
    """Raise a SizeError unless ``rope_factors`` matches ``rope_scaling`` and the number of rotated pairs."""
    if (layer.rope_scaling == "longrope") != bool(layer.rope_factors):
        raise layer.size_error("rope_factors", "and rope_scaling: longrope must be set together")
    if not layer.rope_factors:
        return
    pairs = next(getattr(layer, name) for name in WIDTHS if hasattr(layer, name)) // 2
    parts = [part.split() for part in layer.rope_factors.split("|")]
    if len(parts) != 2 or any(len(part) != pairs for part in parts):
        counts = " | ".join(str(len(part)) for part in parts)
        problem = f"has {counts} numbers; it must have {pairs} | {pairs}, one per rotated pair"
        raise layer.size_error("rope_factors", problem)
    if not all(_is_positive(number) for part in parts for number in part):
        raise layer.size_error("rope_factors", "must contain only positive numbers")


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False

"""LoRA adapters [hu2021], one for each use of a shared layer [glorioso2024b]."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .step import Step
from .weights import Array, Sizes, Weight, Weights, adapters


def weights(lora: Any, d_in: int, outputs: dict[str, Sizes]) -> list[Weight]:
    """Return both matrices for each projection in ``outputs``, which maps names to output sizes."""
    if not lora:
        return []
    pairs = (
        (adapters(f"w{name}_a", d_in, lora.rank, lora.n), adapters(f"w{name}_b", lora.rank, size, lora.n))
        for name, size in outputs.items()
    )
    return [weight for pair in pairs for weight in pair]


def add(lora: Any, w: Weights, name: str, x: Array, y: Array, step: Step) -> Array:
    """Add the adapter of a projection of ``x`` [b q d] to the projection ``y`` [b q heads e]."""
    if not lora:
        return y
    narrow = einsum("bqd,da->bqa", x, getattr(w, f"w{name}_a")[step.use_index])
    return y + einsum("bqa,ahe->bqhe", narrow, getattr(w, f"w{name}_b")[step.use_index])

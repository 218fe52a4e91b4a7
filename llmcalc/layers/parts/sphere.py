"""Learned scales of a feed-forward layer whose vectors lie on the unit sphere (nGPT [loshchilov2024])."""

from __future__ import annotations

from ...core.part import Part
from ...core.record import record


@record
class Sphere(Part):
    """Learned scales of the gate and the up-projection, and a normalised product.

    Attributes:
        gain: constant factor applied to the learned scales.
    """

    gain: float = 1.0

    def tensors(self, names: str) -> list[str]:
        """Return one scale per projection."""
        return [f"scale_{name}[f]" for name in names]

    def scale_lines(self, name: str) -> list[str]:
        """Return the equation that scales the values ``name``."""
        return [f"{name}[b q f] = mul({name}, scale_{name})"]

    def product_lines(self) -> list[str]:
        """Return the equation that normalises the product."""
        return ["m[b q f] = l2norm(m)"]

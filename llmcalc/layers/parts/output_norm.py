"""Norm of the head outputs before the output projection."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class OutputNorm(Part):
    """Norm of the weighted values.

    Attributes:
        over: ``projection`` (all heads together, after the gate; BitNet) or ``head`` (each head separately, without
            weights, before the gate; Muse Spark).
        function: function of the norm. ``layernorm`` includes a bias (KOSMOS-2).
        eps: epsilon of the norm.
    """

    over: str = "projection"
    function: str = "rmsnorm"
    eps: float = 1e-6

    SHORT: ClassVar[str] = "over"
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "over": ("projection", "head"),
        "function": ("rmsnorm", "layernorm"),
    }

    def tensors(self) -> list[str]:
        """Return the weights of the norm."""
        return ["o_norm[h v]", *["o_norm_b[h v]"] * (self.function == "layernorm")] * (self.over == "projection")

    def lines(self, over: str) -> list[str]:
        """Return the equation of the norm if it applies to ``over``."""
        if over != self.over:
            return []
        if over == "head":
            return ["o[b q h v] = rmsnorm(o)"]
        weights = "o_norm, o_norm_b" if self.function == "layernorm" else "o_norm"
        return [f"o[b q h v] = {self.function}(o, {weights}) | row:q"]

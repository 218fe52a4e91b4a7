"""Norm of the hidden values of a feed-forward layer."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class InnerNorm(Part):
    """Norm of the hidden values before the down-projection (BitNet, KOSMOS-2).

    Attributes:
        function: ``rmsnorm`` or ``layernorm``, which includes a bias.
        eps: epsilon of the norm.
    """

    function: str = "rmsnorm"
    eps: float = 1e-5

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"function": ("rmsnorm", "layernorm")}

    def tensors(self) -> list[str]:
        """Return the weight and, for ``layernorm``, the bias."""
        return ["norm[f]", *["norm_b[f]"] * (self.function == "layernorm")]

    def lines(self) -> list[str]:
        """Return the equation of the norm."""
        weights = "norm, norm_b" if self.function == "layernorm" else "norm"
        return [f"m[b q f] = {self.function}(m, {weights})"]

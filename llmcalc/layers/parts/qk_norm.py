"""Normalisation of queries and keys [henry2020] before their product."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record

_AXES = {"head": ("e", "e"), "per_head": ("h; e", "g; e"), "projection": ("h e", "g e")}


@record
class QkNorm(Part):
    """Norm of each query and each key.

    Attributes:
        over: what is normalised: ``head``, ``per_head`` (with separate weights) or ``projection`` (all heads together).
        function, scale, bias, eps, unit_offset: as in ``norm``.
        late: whether queries and keys are normalised after the rotation.
    """

    over: str = "head"
    function: str = "rmsnorm"
    scale: bool = True
    bias: bool = False
    eps: float = 1e-6
    unit_offset: bool = False
    late: bool = False

    SHORT: ClassVar[str] = "over"
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "over": ("head", "per_head", "projection"),
        "function": ("rmsnorm", "layernorm", "l2norm"),
    }

    def tensors(self, names: str) -> list[str]:
        """Return the weights of the norms of ``names``, which is ``qk`` or ``q``."""
        return [
            spec
            for name, axes in zip(names, _AXES[self.over], strict=False)
            for spec in [f"{name}_norm[{axes}]"] * self.scale + [f"{name}_norm_b[{axes}]"] * self.bias
        ]

    def line(self, name: str, axes: str, of: str = "", row: str = "") -> str:
        """Return the equation that normalises a tensor with the weights of ``of`` (default: the tensor itself)."""
        weights = [f"{of or name}_norm"] * self.scale + [f"{of or name}_norm_b"] * self.bias
        tag = f" | row:{row}" if row and self.over == "projection" else ""
        return f"{name}[{axes}] = {self.function}({', '.join([name, *weights])}){tag}"

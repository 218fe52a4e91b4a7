"""Gate on the outputs of attention heads, computed from the layer input."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Gate(Part):
    """Gate ``function(x wgate)`` applied to the weighted values.

    Attributes:
        per_head: whether there is one gate per head instead of one per value channel.
        bias: bias shape ``none``, ``value`` or ``head`` (default: as the gate if queries have a bias, else ``none``).
        function: activation function of the gate, ``sigmoid`` or ``softplus``.
    """

    per_head: bool = False
    bias: str | None = None
    function: str = "sigmoid"

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "bias": ("none", "value", "head"),
        "function": ("sigmoid", "softplus"),
    }

    def axes(self) -> str:
        """Return the axes of the gate."""
        return "h" if self.per_head else "h v"

    def bias_tensors(self) -> list[str]:
        """Return a list with the bias tensor, or an empty list if there is no bias."""
        return {"value": ["bgate[h v]"], "head": ["bgate[h]"]}.get(self.bias or "none", [])

    def lines(self, width: str, scale: str = "") -> list[str]:
        """Return the gate equations for the input axis ``width`` and an optional scaling tensor ``scale``."""
        axes = self.axes()
        lines = [f"gate[b q {axes}] = x[b q {width}] wgate[{width} {axes}]"]
        lines += [f"gate[b q {axes}] = add(gate, bgate)"] if self.bias_tensors() else []
        lines += [f"gate[b q {axes}] = mul(gate, {scale})"] if scale else []
        return [*lines, f"gate[b q {axes}] = {self.function}(gate)", "o[b q h v] = mul(o, gate)"]

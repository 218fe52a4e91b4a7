"""Gate on the outputs of attention heads, computed from the layer input."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Gate(Part):
    """Gate ``function(x wgate)`` that multiplies the weighted values.

    Attributes:
        per_head: whether there is one gate per head instead of one per value channel.
        bias: ``none``, ``value`` or ``head`` (default: the gate's shape if queries have a bias, else ``none``).
        function: ``sigmoid`` or ``softplus``.
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
        """Return the bias tensor, if any."""
        return {"value": ["bgate[h v]"], "head": ["bgate[h]"]}.get(self.bias or "none", [])

    def lines(self, width: str, scale: str = "") -> list[str]:
        """Return the gate equations. ``width`` is the input axis, and ``scale`` names a tensor that scales the
        gate.
        """
        axes = self.axes()
        lines = [f"gate[b q {axes}] = x[b q {width}] wgate[{width} {axes}]"]
        lines += [f"gate[b q {axes}] = add(gate, bgate)"] if self.bias_tensors() else []
        lines += [f"gate[b q {axes}] = mul(gate, {scale})"] if scale else []
        return [*lines, f"gate[b q {axes}] = {self.function}(gate)", "o[b q h v] = mul(o, gate)"]

"""Bounds on the gate and the up-projection of feed-forward layers and experts."""

from __future__ import annotations

from ...core.part import Part
from ...core.record import record
from ...core.type_names import Any

BOUNDED = "situ"  # an activation with a bound


@record
class Bounds(Part):
    """Clamps, soft caps and offsets of the hidden values.

    Attributes:
        clamp: upper bound of the gate and absolute bound of the up-projection (gpt-oss).
        clamp_late: whether the gate is clamped after its activation (Step 3.7).
        up_offset: offset added to the up-projection before the product (gpt-oss: 1).
        gate_softcap: bound of ``situ``, a SiLU with a soft-capped linear factor [moonshot2026k3].
        up_softcap: soft-cap bound for the up-projection.
    """

    clamp: float | None = None
    clamp_late: bool = False
    up_offset: float = 0.0
    gate_softcap: float | None = None
    up_softcap: float | None = None

    def gate_lines(self, rows: str = "b q") -> list[str]:
        """Return the equations that bound the gate before its activation."""
        return [f"g[{rows} f] = clamp(g)"] if self.clamp and not self.clamp_late else []

    def activation_lines(self, rows: str = "b q") -> list[str]:
        """Return the equations that bound the gate after its activation."""
        return [f"a[{rows} f] = clamp(a)"] if self.clamp and self.clamp_late else []

    def up_lines(self, rows: str = "b q") -> list[str]:
        """Return the equations that bound the up-projection."""
        return [f"u[{rows} f] = clamp(u)"] * bool(self.clamp) + [f"u[{rows} f] = softcap(u)"] * bool(self.up_softcap)


UNBOUNDED = Bounds()


def check_bounds(layer: Any) -> None:
    """Check that the soft-cap bounds of a feed-forward or expert layer match its activation.

    Raises:
        SizeError: if a bound is missing or unused.
    """
    bounds = layer.bounds or UNBOUNDED
    if (layer.activation == BOUNDED) != (bounds.gate_softcap is not None):
        name, problem = "gate_softcap", f"and activation: {BOUNDED} must be set together"
    elif bounds.up_softcap is not None and not layer.gated:
        name, problem = "up_softcap", "requires gated: true"
    else:
        return
    raise layer.size_error(f"bounds.{name}", problem).under(("bounds", name))

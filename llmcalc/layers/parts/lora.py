"""Low-rank adapters [hu2021] on the input projections of a layer that several blocks share (Zamba2)."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Lora(Part):
    """LoRA adapters, one per use of a shared layer.

    Attributes:
        rank: rank of the adapters.
        n: number of adapters.
    """

    rank: int
    n: int = 1

    SHRINK: ClassVar[dict[str, str]] = {"rank": "adapter_rank", "n": "keep"}

    def axes(self) -> dict[str, int]:
        """Return the axes of the adapters."""
        return {"ar": self.rank, "na": self.n}

    def tensors(self, names: str) -> list[str]:
        """Return the shared down-projection and one up-projection per name."""
        return ["w_a[na; d | ar]", *(f"w{name}_b[na; ar | f]" for name in names)]

    def narrow_lines(self) -> list[str]:
        """Return the equation of the down-projection."""
        return ["ga[b q ar] = x[b q d] w_a[d ar]"]

    def wide_lines(self, name: str) -> list[str]:
        """Return the equations that add an up-projection to the values ``name``."""
        return [f"{name}l[b q f] = ga[b q ar] w{name}_b[ar f]", f"{name}[b q f] = add({name}, {name}l)"]

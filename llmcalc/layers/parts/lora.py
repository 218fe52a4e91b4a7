"""LoRA adapters [hu2021] on projections of a layer that several blocks share [glorioso2024b]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Lora(Part):
    """Low-rank addition ``x a b`` to a projection, with separate matrices for each use of a shared layer.

    Attributes:
        rank: rank of the adapters.
        n: number of adapters, one per use of a shared layer.
    """

    rank: int
    n: int = 1

    SHRINK: ClassVar[dict[str, str]] = {"rank": "adapter_rank", "n": "keep"}

    def axes(self) -> dict[str, int]:
        """Return the axes of the adapters."""
        return {"ar": self.rank, "na": self.n}

    def pairs(self, d_in: str, outputs: Mapping[str, str]) -> list[str]:
        """Return both matrices for each projection in ``outputs``, which maps names to output axes."""
        pairs = ((f"w{name}_a[na; {d_in} | ar]", f"w{name}_b[na; ar | {axes}]") for name, axes in outputs.items())
        return [spec for pair in pairs for spec in pair]

    def pair_lines(self, d_in: str, outputs: Mapping[str, str]) -> list[str]:
        """Return the equations that add separate adapters to the projections of the input ``x``."""
        lines = []
        for name, axes in outputs.items():
            lines += [
                f"{name}a[b q ar] = x[b q {d_in}] w{name}_a[{d_in} ar]",
                f"{name}l[b q {axes}] = {name}a[b q ar] w{name}_b[ar {axes}]",
                f"{name}[b q {axes}] = add({name}, {name}l)",
            ]
        return lines

    def tensors(self, names: str) -> list[str]:
        """Return one down-projection for all ``names``, and one up-projection per name."""
        return ["w_a[na; d | ar]", *(f"w{name}_b[na; ar | f]" for name in names)]

    def narrow_lines(self) -> list[str]:
        """Return the equation of the common down-projection."""
        return ["ga[b q ar] = x[b q d] w_a[d ar]"]

    def wide_lines(self, name: str) -> list[str]:
        """Return the equations that add an up-projection to the values ``name``."""
        return [f"{name}l[b q f] = ga[b q ar] w{name}_b[ar f]", f"{name}[b q f] = add({name}, {name}l)"]

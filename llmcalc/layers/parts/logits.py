"""Scaling and masking of logits."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class LogitScale(Part):
    """Learned scaling factor of each logit (nGPT).

    Attributes:
        gain: constant factor applied to the learned factors.
    """

    gain: float = 1.0

    def tensors(self) -> list[str]:
        """Return one scale per vocabulary entry."""
        return ["scale[V]"]

    def lines(self, rows: str) -> list[str]:
        """Return the equation that scales the logits."""
        return [f"logits[b o {rows}] = mul(logits, scale)"]


@record
class MaskedLogits(Part):
    """Vocabulary entries whose logit is always -inf (image tokens in Chameleon).

    Attributes:
        n: number of entries.
        first: index of the first entry.
    """

    n: int = 0
    first: int = 0

    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset({"n", "first"})
    SHRINK: ClassVar[dict[str, str]] = {"n": "at most 6", "first": "at most 4"}

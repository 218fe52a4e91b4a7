"""ALiBi [press2021], a penalty that is proportional to the distance."""

from __future__ import annotations

from ...core.record import record
from ..parts.score_bias import ScoreBias


@record
class Alibi(ScoreBias):
    """Linear penalty with a constant slope per head.

    Attributes:
        scale: scaling factor for the biases (Falcon: the score scale).
    """

    scale: float = 1.0

    def lines(self, keys: str) -> list[str]:
        """Return the equation that adds biases computed from positions."""
        return [f"s[b h q {keys}] = add(s, position_bias) | core"]

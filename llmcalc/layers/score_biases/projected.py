"""Scores of projected sinusoids, as in Transformer-XL [dai2019, Section 3.3]."""

from __future__ import annotations

from typing import ClassVar

from ...core.declaration import Declaration
from ...core.record import record
from ..parts.score_bias import ScoreBias


@record
class Projected(ScoreBias):
    """Product of the query with a projection of the sinusoids of the distance."""

    DEPENDS_ON_KEYS: ClassVar[bool] = True

    def tensors(self, declaration: Declaration) -> None:
        """Declare the projection of the sinusoids."""
        declaration.weights("wr[d | h e]")

    def lines(self, keys: str) -> list[str]:
        """Return the equations that add the products of queries and projected sinusoids."""
        lines = [f"r[{keys} h e] = sinusoids[{keys} d] wr[d h e] | constant"]
        return [*lines, f"sr[b h q {keys}] = q[b q h e] r[{keys} h e]", f"s[b h q {keys}] = add(s, sr)"]

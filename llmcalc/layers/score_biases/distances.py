"""Scores of learned vectors for clipped distances [shaw2018, Section 3.2]."""

from __future__ import annotations

from typing import ClassVar

from ...core.record import record
from ..parts.score_bias import ScoreBias


@record
class Distances(ScoreBias):
    """Product of the query with a learned vector for the distance. The table is part of the stack."""

    DEPENDS_ON_KEYS: ClassVar[bool] = True

    def lines(self, keys: str) -> list[str]:
        """Return the equations that add the products of queries and vectors."""
        return [f"sr[b h q {keys}] = q[b q h e] distances[q {keys} e]", f"s[b h q {keys}] = add(s, sr)"]

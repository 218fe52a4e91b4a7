"""Learned biases for buckets of distances, as in T5 [raffel2019, Section 2.1]."""

from __future__ import annotations

from typing import Any, ClassVar

from ...core.declaration import Declaration
from ...core.record import record
from ..parts.score_bias import ScoreBias


@record
class Relative(ScoreBias):
    """One learned bias per head and bucket.

    Attributes:
        n_buckets: number of relative position buckets.
        max_distance: distance in tokens at which the last bucket starts.
        shared: whether all layers of the stack share the bias table, as in T5.
    """

    n_buckets: int | None = None
    max_distance: int = 128
    shared: bool = True

    SHRINK: ClassVar[dict[str, str]] = {"n_buckets": "10 12 14", "max_distance": "always 11 13"}

    def tensors(self, declaration: Declaration) -> None:
        """Declare the bias table."""
        declaration.axes["u"] = self.n_buckets or 0
        declaration.weights("relative_bias[u; h]", share=".relative_bias" if self.shared else None)

    def lines(self, keys: str) -> list[str]:
        """Return the equation that adds the biases of the buckets."""
        return [f"s[b h q {keys}] = add(s, relative_bias) | core"]

    def check_layer(self, layer: Any) -> None:
        """Raise a SizeError if the number of buckets is not set."""
        if self.n_buckets is None:
            raise layer.size_error("score_bias.relative.n_buckets", "is required").under(
                ("score_bias", "relative", "n_buckets")
            )

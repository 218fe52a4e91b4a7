"""Capacity of the experts of a mixture, beyond which tokens are dropped [fedus2021, Section 2.2]."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import changed, record


@record
class Capacity(Part):
    """Maximum number of tokens per expert. Excess tokens skip the expert.

    Attributes:
        tokens: maximum number of tokens per sequence, or per batch if ``batch`` is set. Later tokens are dropped.
        factor: capacity relative to ``tokens · top_k / n_experts``, instead of ``tokens``.
        batch: whether the capacity applies to the full batch, with first choices assigned first (NLLB).
        share: capacity as a fraction of the tokens in the batch, instead of ``tokens``.
        by_score: whether tokens with higher top scores have priority within the batch.
    """

    tokens: int | None = None
    factor: float | None = None
    batch: bool = False
    share: float | None = None
    by_score: bool = False

    SHRINK: ClassVar[dict[str, str]] = {"tokens": "1000"}

    def _complete(self) -> None:
        if (self.share is not None or self.by_score) and not self.batch:
            raise self.size_error("share", "and by_score require batch: true").under(("batch",))
        if self.share is not None and not 0 < self.share <= 1:
            raise self.size_error("share", f"must be above 0 and at most 1, not {self.share}").under(("share",))
        if self.batch and (self.tokens is None) == (self.share is None):
            raise self.size_error("batch", "requires either tokens or share").under(("batch",))

    def without_drops(self) -> Capacity:
        """Return a batch capacity at which no token of a small test batch is dropped."""
        return changed(self, tokens=1000) if self.share is None else changed(self, share=1.0)

"""The largest context of a serving model within an amount of memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ..calc.memory.fit import largest_within
from ..calc.memory.inference import InferenceMemory


def largest_context(stages: Sequence[InferenceMemory], available: int, limit: int, least: int = 1) -> int:
    """Return the largest sequence length from ``least`` to ``limit`` with which every pipeline stage fits, or 0.

    The state takes little time to compute, unlike the activations, which rarely depend on the number of cached tokens.
    The activations at an upper bound of the length therefore give a length that fits. If the activations are the same
    at this length, then it is the largest.
    """
    weights = [stage.weights - stage.host for stage in stages]

    @cache
    def states(seq: int) -> list[int]:
        return [stage.state_size.resized(seq).bytes for stage in stages]

    @cache
    def transients(seq: int) -> list[int]:
        return [stage.find_transient(seq) for stage in stages]

    def largest(high: int, at: int | None) -> int:
        """Return the largest length with the activations of the length ``at`` (None: without activations)."""
        others = weights if at is None else list(map(int.__add__, weights, transients(at)))
        return largest_within(lambda seq: max(map(int.__add__, others, states(seq))), available, high)

    high = largest(limit, None)
    if high < least:
        return 0
    low = largest(high, high)
    if low == high or (low and transients(low) == transients(high)):
        return low if low >= least else 0
    return largest_within(
        lambda seq: max(map(sum, zip(weights, states(seq), transients(seq), strict=True))), available, high,
        max(low, least),
    )  # fmt: skip

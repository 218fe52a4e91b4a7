"""Collectives, the bytes of their tensors, and the bytes that a rank sends with ring algorithms."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.form import Form, product
from ..core.record import NamedTuple
from ..core.type_names import Any
from .memory.number_formats import BITS_A_BYTE
from .walk import Extent, Placed

ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER = "all-reduce", "all-gather", "reduce-scatter"
ALL_TO_ALL, SEND = "all-to-all", "send"
FORWARD, BACKWARD, UPDATE = PHASES = ("forward", "backward", "update")


class Collective(NamedTuple):
    """A collective of one layer, or of one stage outside the layers.

    Attributes:
        place: layer, or None for the weights and the streams of a pipeline stage.
        component: component of the breakdown.
        kind: ``all-reduce``, ``all-gather``, ``reduce-scatter``, ``all-to-all`` or ``send``.
        group: parallelism whose ranks take part, such as ``tp``.
        ranks: number of ranks that take part.
        tensor: name of the tensor, with the prefix ``d`` for a gradient.
        phase: ``forward``, ``backward`` or ``update`` (once per training step).
        factors: axes of the whole tensor with their lengths. An all-gather results in this tensor, and a
            reduce-scatter starts from it.
        shards: number of ranks over which other axes of the tensor are divided.
        times: number of executions per step.
        bits: bits per element.
    """

    place: Placed | None
    component: str
    kind: str
    group: str
    ranks: int
    tensor: str
    phase: str
    factors: tuple[tuple[str, Extent], ...]
    shards: int
    times: int
    bits: int

    @property
    def ring_steps(self) -> int:
        """Number of messages of ``1/ranks`` of the tensor that each rank sends in a ring algorithm."""
        return {ALL_REDUCE: 2 * (self.ranks - 1), SEND: self.ranks}.get(self.kind, self.ranks - 1)

    @property
    def elements(self) -> Form:
        """Closed form of the elements of the tensor in all executions, before division by ``shards``."""
        return product([self.times, *[factor for _, factor in self.factors]])

    @property
    def form(self) -> Form:
        """Closed form of the bytes that each rank sends. Its coefficients are rounded up."""
        return Form({atoms: self._sent(factor) for atoms, factor in self.elements.terms.items()})

    def sizes(self, values: Mapping[str, Any]) -> tuple[int, int]:
        """Return the bytes of the tensor and the bytes that each rank sends, in all executions."""
        count = self.elements(**values)
        return -(-count * self.bits // (BITS_A_BYTE * self.shards)), self._sent(count)

    def _sent(self, count: int) -> int:
        return -(-count * self.bits * self.ring_steps // (BITS_A_BYTE * self.shards * self.ranks))

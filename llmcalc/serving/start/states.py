"""Pools of recurrent states that an engine allocates beside the blocks of its KV cache."""

from __future__ import annotations

from fractions import Fraction
from math import inf

from ...core.record import NamedTuple


class StatePool(NamedTuple):
    """Recurrent states of the requests on one rank.

    Attributes:
        bytes: bytes of a state, in all layers.
        slots: number of states, or None if the pool is a share of the memory.
        ratio: bytes of the pool per byte of the KV cache, if it is a share.
        per_request: states per running request.
        drafted: further states per running request, one for each drafted token.
        running: most requests that run with drafts.
        padding: states that no request uses, of a request and of drafted tokens.
        is_joint: whether the share also contains the states of drafted tokens.
    """

    bytes: Fraction = Fraction()
    slots: int | None = None
    ratio: Fraction = Fraction()
    per_request: int = 1
    drafted: int = 0
    running: int = 0
    padding: int = 0
    is_joint: bool = True

    @property
    def is_pool(self) -> bool:
        """Whether there are states, in a pool beside the blocks whose rule is known."""
        return bool(self.bytes and (self.slots is not None or self.ratio))

    def size(self, available: float) -> Fraction:
        """Return the bytes of the pool if ``available`` bytes are left for it and for the KV cache.

        >>> StatePool(Fraction(10), slots=5).size(1000), StatePool(Fraction(10), ratio=Fraction(1)).size(1009)
        (Fraction(50, 1), Fraction(500, 1))
        """
        if not self.bytes:
            return Fraction()
        count = self._count(Fraction(available)) if self.slots is None else self.slots
        running = min(self.running, count // self.per_request) if self.is_joint else self.running
        return self.bytes * (count + self.padding + (running + self.padding) * self.drafted)

    def most_requests(self, available: float) -> float:
        """Return how many requests have a state if ``available`` bytes are left for the pool and for the KV cache.

        >>> StatePool(Fraction(10), slots=7, per_request=2).most_requests(1000), StatePool().most_requests(1000)
        (3, inf)
        """
        if not self.is_pool:
            return inf
        return (self._count(Fraction(available)) if self.slots is None else self.slots) // self.per_request

    def _count(self, available: Fraction) -> int:
        """Return the number of states of a pool that is a share of the memory."""
        share, states = self.ratio / (1 + self.ratio), Fraction(1)
        if self.is_joint:
            states += Fraction(self.drafted, self.per_request)
        else:
            available -= self.bytes * self.running * self.drafted
        kept = self.padding * (1 + self.drafted)
        return max(int((available * share / self.bytes - kept) // states), 0)


NO_STATES = StatePool()

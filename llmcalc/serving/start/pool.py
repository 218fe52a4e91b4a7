"""Cache of one rank as an engine's scheduler fills it: what a request occupies, and how many requests fit.

A request occupies whole blocks in every group of layers, and a state where the engine keeps states beside its blocks.
This is what decides how many requests run. The log of an engine may count otherwise: vLLM divides by the blocks of a
request whose largest step of prefill is in progress, in which a sliding window holds all tokens of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ...core.amount import summed
from ...core.arrays import Number, namespace
from ...core.record import NamedTuple
from .cache import FULL, SCRATCH, STATE, WINDOW, CacheGroups, CacheLayer


class PoolGroup(NamedTuple):
    """Layers whose tokens are stored in the same blocks: kind, window, tokens of a block, and bytes of a block."""

    kind: str
    window: int
    block_size: int
    bytes: float

    def bytes_of(self, tokens: Number) -> Number:
        """Return the bytes of a sequence. A window may start within a block."""
        if self.kind == STATE:
            return self.bytes
        xp = namespace(tokens)
        if self.kind == WINDOW:
            tokens = xp.minimum(self.window + self.block_size - 1, tokens)
        return self.bytes * xp.ceil(tokens / self.block_size)


class CachePool(NamedTuple):
    """Cache of one rank.

    Attributes:
        groups: groups of layers.
        space: bytes of all blocks.
        ranks: ranks that share the tokens of a request.
        most: most requests that have a state beside the blocks.
    """

    groups: tuple[PoolGroup, ...]
    space: float
    ranks: int = 1
    most: float = inf

    def bytes_of(self, tokens: Number) -> Number:
        """Return the bytes that a request with ``tokens`` tokens occupies."""
        own = tokens / self.ranks
        return sum((group.bytes_of(own) for group in self.groups), 0.0 * tokens)

    def shared_bytes(self, tokens: Number) -> Number:
        """Return the bytes that requests with the same first ``tokens`` tokens share.

        They are the whole blocks of layers that keep all tokens.
        """
        xp, own = namespace(tokens), tokens / self.ranks
        kept = (group for group in self.groups if group.kind == FULL)
        return sum((group.bytes * xp.floor(own / group.block_size) for group in kept), 0.0 * tokens)

    def requests(self, tokens: Number) -> Number:
        """Return how many requests with ``tokens`` tokens fit, which is not a whole number.

        >>> pool = CachePool((PoolGroup("full", 0, 16, 1600.0), PoolGroup("state", 0, 1, 4000.0)), 1e5)
        >>> pool.bytes_of(33), pool.requests(33)
        (8800.0, 11.363636363636363)
        """
        xp = namespace(tokens)
        return xp.minimum(self.space / xp.maximum(self.bytes_of(tokens), 1.0), self.most)


def paged_pool(groups: CacheGroups, space: float, state_blocks: int, ranks: int = 1, most: float = inf) -> CachePool:
    """Return the pool of an engine whose groups share blocks of one size.

    Args:
        groups: groups of layers.
        space: bytes of all blocks.
        state_blocks: blocks of a request in a group of recurrent states.
        ranks: ranks that share the tokens of a request.
        most: most requests that have a state beside the blocks.
    """
    found = []
    for group in groups.groups:
        size = float(group.n_groups * groups.block_bytes)
        if group.kind == STATE and group.block_size > 1:  # a state of each block of tokens, and those of drafts
            found += [PoolGroup(FULL, 0, group.block_size, size), PoolGroup(STATE, 0, 1, size * (state_blocks - 1))]
        elif group.kind in (STATE, SCRATCH):
            found.append(PoolGroup(STATE, 0, 1, size * (state_blocks if group.kind == STATE else 1)))
        else:
            found.append(PoolGroup(group.kind, group.window, group.block_size, size))
    if groups.states.bytes and not groups.states.is_pool:  # the engine's rule is unknown
        found.append(PoolGroup(STATE, 0, 1, float(groups.states.bytes)))
    return CachePool(tuple(found), space, ranks, most)


def pool_of_layers(layers: Sequence[CacheLayer], space: float) -> CachePool:
    """Return a pool that stores exactly what the layers cache, token by token."""
    sizes = summed(((layer.kind, layer.window), layer.bytes * layer.n_layers) for layer in layers)
    return CachePool(tuple(PoolGroup(*own, 1, float(size)) for own, size in sizes.items()), space)

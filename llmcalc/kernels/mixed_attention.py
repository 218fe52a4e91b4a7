"""Closed form of attention in one kernel for sequences of one token and sequences of more tokens."""

from __future__ import annotations

from ..core.arrays import Number, namespace
from .kernels import SIXTEEN_BIT, Coefficients, Device, stream

QUERY_TILE = 64  # queries of a tile, with a paged cache


def mixed_attention_decode(
    sequences: Number, keys: Number, heads: Number, key_heads: Number, key_width: Number, value_width: Number,
    device: Device, peak: Number, c: Coefficients, share: Number, *, cache_bytes: Number = SIXTEEN_BIT,
) -> Number:  # fmt: skip
    """Return the time of attention of one new token per sequence in a kernel that also has sequences with more tokens.

    It computes each query head for itself, in a tile of queries, and does not divide the keys over multiprocessors. The
    query heads of a key are computed one after the other, each for all sequences. The next one finds in the L2 cache
    the share of the keys that the cache has room for, and the memory is read for the others.

    Args:
        sequences: number of sequences.
        keys: keys that the token sees in each sequence.
        heads: query heads.
        key_heads: heads of keys and values.
        key_width: elements of a key.
        value_width: elements of a value.
        device: the accelerator.
        peak: FLOP/s of the format that the kernel computes in.
        c: as for ``attention_decode``.
        share: share of the peak at which attention computes in prefills.
        cache_bytes: bytes of an element of the cache.
    """
    xp = namespace(sequences, keys, device.l2)
    elements = key_width + value_width
    once = sequences * keys * elements * cache_bytes
    found = xp.minimum(device.l2 / xp.maximum(once, 1.0), 1.0)
    moved = once * (key_heads + (heads - key_heads) * (1 - found))
    flops = 2.0 * sequences * heads * QUERY_TILE * elements * keys
    return stream(
        sequences * heads, keys, moved, 0.0, flops, device, peak, {**c, "splits": 1.0, "compute": share}, False
    )

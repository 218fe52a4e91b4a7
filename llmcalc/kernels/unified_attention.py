"""Closed forms of attention in vLLM's kernel in Triton, which computes prefills and decode steps.

A program computes 16 rows: the query heads of one key head, for as many tokens as fit. It reads the keys of its tokens
in tiles of 32. Its products are too small to use the tensor cores well, and it runs with few warps. A tile therefore
takes a number of clock cycles that is nearly the same on all generations of GPUs, and proportional to the width of the
heads, which is padded to a power of 2. In a decode step with few sequences, the keys of a sequence are divided into 16
segments.

Source: vllm-project/vllm, vllm/attention/ops/triton_unified_attention.py.
"""

from __future__ import annotations

from ..core.arrays import Number, namespace
from .kernels import SIXTEEN_BIT, Coefficients, Device, prefill_bytes, rate
from .tiles import MICRO

ROWS = 16  # of a program, at least
TILE = 32  # keys of a tile
SEGMENTS = 16  # of the keys of a sequence
MOST_DIVIDED = 128  # programs up to which the keys are divided


def unified_attention_prefill(
    sequences: Number, queries: Number, pairs: Number, longest: Number, heads: Number, key_heads: Number,
    key_width: Number, value_width: Number, device: Device, c: Coefficients, *,
    cache_bytes: Number = SIXTEEN_BIT, alone: bool = False,
) -> Number:  # fmt: skip
    """Return the time of attention for new tokens.

    Args:
        sequences: number of sequences.
        queries: new tokens of a sequence.
        pairs: visible pairs of queries and keys of a sequence.
        longest: keys that the last query sees.
        heads: query heads.
        key_heads: heads of keys and values.
        key_width: elements of a key.
        value_width: elements of a value.
        device: the accelerator.
        c: ``tile``, ``wait`` (clock cycles of a tile and element of a head: of a multiprocessor, and of one program),
            ``copies`` (and ``launch_us``).
        cache_bytes: bytes of an element that is written to the cache.
        alone: whether the kernel is measured alone.
    """
    xp = namespace(sequences, queries, pairs, longest, heads, device.bandwidth)
    rows, tokens, width = _program(xp, heads, key_heads, key_width, value_width)
    programs = sequences * key_heads * xp.ceil(queries / tokens)
    edges = xp.where(longest >= queries, 0.5, 1.0)  # the start of a sliding window is a second edge
    tiles = (pairs / queries + tokens / 2) / TILE + edges
    own = rows / ROWS * width
    clocks = xp.maximum(programs * tiles * c["tile"] / device.sms, (longest / TILE + 1) * c["wait"]) * own
    moved = prefill_bytes(sequences * queries, heads, key_heads, key_width + value_width, cache_bytes)
    time = clocks / device.clock + c["copies"] * moved / device.bandwidth
    return time + c["launch_us"] * MICRO if alone else time


def unified_attention_decode(
    sequences: Number, keys: Number, heads: Number, key_heads: Number, key_width: Number, value_width: Number,
    device: Device, c: Coefficients, *, cache_bytes: Number = SIXTEEN_BIT, mixed: bool = False, alone: bool = False,
) -> Number:  # fmt: skip
    """Return the time of attention of one new token per sequence.

    Args:
        sequences: number of sequences.
        keys: keys that the token sees in each sequence.
        heads: query heads.
        key_heads: heads of keys and values.
        key_width: elements of a key.
        value_width: elements of a value.
        device: the accelerator.
        c: ``tile``, ``wait``, ``start`` (clock cycles of a program), ``memory`` (and ``launch_us``, ``cache``).
        cache_bytes: bytes of an element of the cache.
        mixed: whether the kernel also computes prefills, in which case no keys are divided.
        alone: whether the kernel is measured alone.
    """
    xp = namespace(sequences, keys, heads, key_heads, device.bandwidth)
    rows, _, width = _program(xp, heads, key_heads, key_width, value_width)
    groups, tiles, own = sequences * key_heads, keys / TILE + 0.5, rows / ROWS * width
    most = 0 if mixed else MOST_DIVIDED
    is_divided = groups <= most
    segments = xp.where(is_divided, xp.clip(tiles, 1.0, SEGMENTS), 1.0)
    clocks = xp.maximum(groups * tiles * c["tile"] / device.sms, tiles / segments * c["wait"]) * own
    moved = groups * keys * (key_width + value_width) * cache_bytes
    time = ((clocks / device.clock) ** 4 + (moved / rate(device, c, moved, alone)) ** 4) ** 0.25
    starts = xp.maximum(groups, 2.0 * xp.minimum(groups, most))  # a second kernel adds the segments
    time = time + starts * c["start"] / device.sms / device.clock
    return time + c["launch_us"] * MICRO if alone else time


def _program(
    xp: type, heads: Number, key_heads: Number, key_width: Number, value_width: Number
) -> tuple[Number, Number, Number]:
    """Return the rows and tokens of a program, and the mean padded width of keys and values."""
    shared = heads / key_heads
    rows = xp.maximum(2.0 ** xp.ceil(xp.log2(shared)), ROWS)  # type: ignore[attr-defined]
    tokens = xp.maximum(xp.floor(rows / shared), 1)  # type: ignore[attr-defined]
    width = sum(2.0 ** xp.ceil(xp.log2(own)) for own in (key_width, value_width)) / 2  # type: ignore[attr-defined]
    return rows, tokens, width

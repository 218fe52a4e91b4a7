"""BigBird's attention [zaheer2020]: a block of tokens sees its neighbours, random blocks and two global ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import plus, softmax
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector

BESIDE, GLOBAL = 3, 2  # the own block and its neighbours; the first and the last one


def weights(layer: Any) -> list[Weight]:
    """Four projections with biases."""
    d, heads = layer.d_model, (layer.n_heads, layer.d_model // layer.n_heads)
    found = [matrix("wq", d, heads), matrix("wk", d, heads), matrix("wv", d, heads), matrix("wo", heads, d)]
    found += [vector("bo", d)] if layer.o_bias else []
    return found + ([vector(f"b{name}", *heads) for name in "qkv"] if layer.bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Attention of blocks to some blocks; of short texts, to everything."""
    step.must_be_whole(layer.kind())
    tokens, size = x.shape[1], layer.block
    is_long = tokens > (BESIDE + GLOBAL + 2 * layer.n_random) * size
    if is_long:  # whole blocks
        x = np.concatenate([x, np.zeros((x.shape[0], -tokens % size, x.shape[2]))], axis=1)
    q, k, v = (plus(einsum("bqd,dhe->bqhe", x, getattr(w, f"w{n}")), w.get(f"b{n}")) for n in "qkv")
    q = q / math.sqrt(q.shape[-1])
    real = np.arange(x.shape[1]) < tokens
    o = _by_blocks(layer, q, k, v, real) if is_long else _mixed(q[:, None], k, v, real)[:, 0]
    return plus(einsum("bqhe,hed->bqd", o, w.wo), w.get("bo"))[:, :tokens]


def _by_blocks(layer: Any, q: Array, k: Array, v: Array, real: Array) -> Array:
    """Each block of queries [b q h e] on the keys that it sees."""
    blocks = q.shape[1] // layer.block
    folded = (q.shape[0], blocks, layer.block, *q.shape[2:])
    query, last = q.reshape(folded), blocks - 1
    keys, values, real_block = k.reshape(folded), v.reshape(folded), real.reshape(blocks, -1)
    ends = _mixed(query[:, ::last], k, v, real)
    parts = [ends[:, :1]]
    for row, near in ((1, [0, 1, 2, last]), (last - 1, [0, last - 2, last - 1, last])):
        seen = np.array([[*near, *_random_blocks(layer)]])
        parts.append(_mixed(query[:, row : row + 1], _gathered(keys, seen), _gathered(values, seen), real_block[seen]))
    inner = _between(layer, query[:, 2 : last - 1], keys, values, real_block)
    return np.concatenate([*parts[:2], inner, parts[2], ends[:, 1:]], axis=1).reshape(q.shape)


def _gathered(blocks: Array, seen: Array) -> Array:
    """For each row of blocks what it sees of ``blocks`` [b n w h e], side by side [b m k h e]."""
    b, _, size, *head = blocks.shape
    return blocks[:, seen].reshape(b, seen.shape[0], seen.shape[1] * size, *head)


def _between(layer: Any, q: Array, keys: Array, values: Array, real: Array) -> Array:
    """Blocks [b m q h e] of which each sees its neighbours and random blocks, and all the first and the last one.

    Those two stand in one place for all; of the others each block gets copies beside each other.
    """
    last = keys.shape[1] - 1
    seen = np.array([[i - 1, i, i + 1, *_random_blocks(layer)] for i in range(2, last - 1)])
    near = einsum("bmqhe,bmkhe->bmhqk", q, _gathered(keys, seen))
    ends = einsum("bmqhe,bnkhe->bmhqnk", q, keys[:, ::last])
    scores = np.concatenate([near, ends.reshape(*near.shape[:4], -1)], axis=-1)
    hidden = ~np.concatenate([real[seen].reshape(len(seen), -1), np.tile(real[::last].reshape(-1), (len(seen), 1))], 1)
    p, width = softmax(np.where(hidden[:, None, None], -np.inf, scores)), near.shape[4]
    found = einsum("bmhqk,bmkhe->bmqhe", p[..., :width], _gathered(values, seen))
    return found + einsum("bmhqnk,bnkhe->bmqhe", p[..., width:].reshape(ends.shape), values[:, ::last])


def _random_blocks(layer: Any) -> list[int]:
    """The random blocks that a block sees: outside training, libraries take the first block each time."""
    return [0] * int(layer.n_random)


def _mixed(q: Array, k: Array, v: Array, real: Array) -> Array:
    """Blocks of queries [b m q h e] on keys of their own [b m k h e], or on those of all [b k h e]."""
    axes = "bmkhe" if len(k.shape) == 5 else "bkhe"
    hidden = ~real.reshape(-1, k.shape[2])[:, None, None] if len(k.shape) == 5 else ~real
    scores = einsum(f"bmqhe,{axes}->bmhqk", q, k)
    return einsum(f"bmhqk,{axes}->bmqhe", softmax(np.where(hidden, -np.inf, scores)), v)

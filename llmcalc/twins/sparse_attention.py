"""BigBird's attention [zaheer2020]: a block of tokens sees its neighbours, random blocks and two global ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from .functions import plus, softmax
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector

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
    ends = _mixed(query[:, [0, last]], k, v, real)
    seen = [[0, 1, 2, last], *([0, i - 1, i, i + 1, last] for i in range(2, last - 1)), [0, last - 2, last - 1, last]]
    parts = [ends[:, :1]]
    for rows, those in (([1], seen[:1]), (list(range(2, last - 1)), seen[1:-1]), ([last - 1], seen[-1:])):
        chosen = np.array([[*one, *_random_blocks(layer)] for one in those])
        flat = (len(rows), chosen.shape[1] * layer.block)
        keys, values = (part.reshape(folded)[:, chosen].reshape(q.shape[0], *flat, *q.shape[2:]) for part in (k, v))
        parts.append(_mixed(query[:, rows], keys, values, real.reshape(blocks, -1)[chosen].reshape(flat)))
    return np.concatenate([*parts, ends[:, 1:]], axis=1).reshape(q.shape)


def _random_blocks(layer: Any) -> list[int]:
    """The random blocks that a block sees: outside training, libraries take the first block each time."""
    return [0] * int(layer.n_random)


def _mixed(q: Array, k: Array, v: Array, real: Array) -> Array:
    """Blocks of queries [b m q h e] on keys of their own [b m k h e], or on those of all [b k h e]."""
    axes = "bmkhe" if len(k.shape) == 5 else "bkhe"
    hidden = ~real[:, None, None] if real.ndim == 2 else ~real
    scores = einsum(f"bmqhe,{axes}->bmhqk", q, k)
    return einsum(f"bmhqk,{axes}->bmqhe", softmax(np.where(hidden, -np.inf, scores)), v)

"""BigBird attention [zaheer2020] from each block to adjacent blocks, random blocks and two global blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import pad, softmax
from ....twins.heads import join, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector

NEAR, GLOBAL = 3, 2  # number of neighbouring blocks, including the block itself; the first and the last block


def weights(layer: Any) -> list[Weight]:
    """Return the query, key, value and output projections, with optional biases."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_model // layer.n_heads
    found = [*projections("qkv", d, h, e, bias="qkv" if layer.bias else ""), matrix("wo", (h, e), d)]
    return found + ([vector("bo", d)] if layer.o_bias else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Apply block-sparse attention, or full attention to short sequences."""
    step.must_be_whole(layer.kind())
    tokens, size = x.shape[1], layer.block
    is_long = tokens > (NEAR + GLOBAL + 2 * layer.n_random) * size
    x = pad(x, size) if is_long else x
    q, k, v = (project(w, name, x) for name in "qkv")
    q = q / math.sqrt(q.shape[-1])
    real = np.arange(x.shape[1]) < tokens
    return join(w, _by_blocks(layer, q, k, v, real) if is_long else _mix(q[:, None], k, v, real)[:, 0])[:, :tokens]


def _by_blocks(layer: Any, q: Array, k: Array, v: Array, real: Array) -> Array:
    """Return the block-sparse attention outputs [b q h e]."""
    blocks = q.shape[1] // layer.block
    shape = (q.shape[0], blocks, layer.block, *q.shape[2:])
    query, keys, values, real_block = q.reshape(shape), k.reshape(shape), v.reshape(shape), real.reshape(blocks, -1)
    last, random = blocks - 1, [0] * int(layer.n_random)  # outside training, libraries use the first block
    ends = _mix(query[:, ::last], k, v, real)
    parts = [ends[:, :1]]
    for row, near in ((1, [0, 1, 2, last]), (last - 1, [0, last - 2, last - 1, last])):
        seen = np.array([[*near, *random]])
        parts.append(_mix(query[:, row : row + 1], _gather(keys, seen), _gather(values, seen), real_block[seen]))
    seen = np.array([[row - 1, row, row + 1, *random] for row in range(2, last - 1)])
    inner = _mix_inner(query[:, 2 : last - 1], keys, values, real_block, seen)
    return np.concatenate([*parts[:2], inner, parts[2], ends[:, 1:]], axis=1).reshape(q.shape)


def _gather(blocks: Array, seen: Array) -> Array:
    """Gather the ``blocks`` [b n w h e] that m query blocks attend to, concatenated to [b m k h e]."""
    b, _, size, *head = blocks.shape
    return blocks[:, seen].reshape(b, seen.shape[0], seen.shape[1] * size, *head)


def _mix_inner(q: Array, keys: Array, values: Array, real: Array, seen: Array) -> Array:
    """Return the output [b m q h e] of attention from inner blocks to gathered, first and last blocks."""
    last = keys.shape[1] - 1
    near = einsum("bmqhe,bmkhe->bmhqk", q, _gather(keys, seen))
    ends = einsum("bmqhe,bnkhe->bmhqnk", q, keys[:, ::last])
    scores = np.concatenate([near, ends.reshape(*near.shape[:4], -1)], axis=-1)
    hidden = ~np.concatenate([real[seen].reshape(len(seen), -1), np.tile(real[::last].reshape(-1), (len(seen), 1))], 1)
    p, width = softmax(np.where(hidden[:, None, None], -np.inf, scores)), near.shape[4]
    mixed = einsum("bmhqk,bmkhe->bmqhe", p[..., :width], _gather(values, seen))
    return mixed + einsum("bmhqnk,bnkhe->bmqhe", p[..., width:].reshape(ends.shape), values[:, ::last])


def _mix(q: Array, k: Array, v: Array, real: Array) -> Array:
    """Attend from query blocks [b m q h e] to per-block keys [b m k h e] or to shared keys [b k h e]."""
    axes = "bmkhe" if len(k.shape) == 5 else "bkhe"
    hidden = ~real.reshape(-1, k.shape[2])[:, None, None] if len(k.shape) == 5 else ~real
    scores = einsum(f"bmqhe,{axes}->bmhqk", q, k)
    return einsum(f"bmhqk,{axes}->bmqhe", softmax(np.where(hidden, -np.inf, scores)), v)

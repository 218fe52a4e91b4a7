"""Attention of blocks of queries to what is around their block, with a key for each distance.

The keys of distances are a table [shaw2018, Section 3.2] or projected sinusoids [dai2019, Section 3.3].
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import plus, softcap, softmax, softplus, times
from ....twins.heads import project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix, table, vector

LONGEST_WAVE = 10000.0  # tokens a radian


def weights(layer: Any) -> list[Weight]:
    """Projections of queries, of keys and values, maybe of another width, and back; keys of distances."""
    d, h, e, source = layer.d_model, layer.n_heads, layer.d_head, layer.d_source or layer.d_model
    found = [*projections("q", d, h, e, bias=""), *projections("kv", source, h, e, bias="")]
    found += [matrix("wo", (h, e), d)]
    found += [vector(f"b{name}", h, e) for name in "qkv"] if layer.bias else []
    found += [vector("bo", d)] if layer.out_bias else []
    found += [vector("q_scale", e)] if layer.per_channel else []
    if layer.positions == "table":
        return [*found, table("relative", layer.n_distances, e)]
    return [*found, matrix("wr", d, (h, e))] if layer.positions == "projected" else found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``softmax(q kᵀ + q rᵀ) v · wo`` for ``x`` [b q d], block by block."""
    step.must_be_whole(layer.kind())
    if layer.fixed:
        return _of_fixed_queries(layer, w, x, step)
    given = _filled(x, layer.chunk) if layer.padded else x
    q = _blocks(_queries(layer, w, given), layer.chunk)
    k, v = _around(layer, w, given, step, x.shape[1])
    return _joined(w, _mixed(layer, w, q, k, v, _hidden(layer, x.shape[1])), x.shape[1])


def _of_fixed_queries(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Queries that are the same in every block are projected once; if keys are, too, all is computed once."""
    b, q, _ = x.shape
    blocks, first = -(-q // layer.chunk), x[:1, : layer.chunk]
    if not np.array_equal(constant(x), np.tile(constant(first), (b, blocks, 1))[:, :q]):
        raise UnsupportedError("the queries of all blocks are not the same vectors", where="context_attention")
    asked = _queries(layer, w, first)[:, None]  # [1 1 z h e]
    if not layer.d_source:
        k, v = (project(w, name, first)[:, None] for name in "kv")
        once = _mixed(layer, w, asked, times(k, layer.key_scale), v, np.zeros((1, layer.chunk, layer.chunk), bool))
        y = _joined(w, once, layer.chunk)
        return np.concatenate([y] * blocks, axis=1)[:, :q] + np.zeros((b, 1, 1))
    k, v = _around(layer, w, x, step, q)
    many = asked + np.zeros((b, blocks, 1, 1, 1))
    return _joined(w, _mixed(layer, w, many, k, v, np.zeros((blocks, layer.chunk, layer.n_source), bool)), q)


def _queries(layer: Any, w: Weights, x: Array) -> Array:
    """Queries [b q h e], each channel by a factor that is 1 for a scale of 0."""
    q = project(w, "q", x)
    return q * (softplus(w.q_scale) * (1 / math.log(2))) if layer.per_channel else q


def _around(layer: Any, w: Weights, x: Array, step: Step, tokens: int) -> tuple[Array, Array]:
    """Keys and values that each block sees [b y k h e]: of what is around it, or of its part of a source."""
    source = _of_source(layer, step, -(-tokens // layer.chunk)) if layer.d_source else x
    if source.shape[-1] != (layer.d_source or layer.d_model):
        raise UnsupportedError(f"it looks at a stream of width {layer.d_source}", where="context_attention")
    k, v = (project(w, name, source) for name in "kv")
    k = times(k, layer.key_scale)
    if layer.d_source:
        return _blocks(k, layer.n_source), _blocks(v, layer.n_source)
    return _windows(layer, k), _windows(layer, v)


def _of_source(layer: Any, step: Step, blocks: int) -> Array:
    """What is looked at, ``n_source`` vectors for each block."""
    if step.source is None or -(-step.source.shape[1] // layer.n_source) != blocks:
        raise UnsupportedError(f"there are no {blocks} times {layer.n_source} vectors to look at", where=layer.kind())
    return _filled(step.source, layer.n_source)


def _filled(x: Array, size: int) -> Array:
    """``x`` [b q ...] with zeros behind it, up to a multiple of ``size``."""
    missing = -x.shape[1] % size
    return np.concatenate([x, np.zeros((x.shape[0], missing, *x.shape[2:]))], axis=1) if missing else x


def _blocks(x: Array, size: int) -> Array:
    """``x`` [b q h e] in blocks [b y z h e]."""
    filled = _filled(x, size)
    return filled.reshape(x.shape[0], -1, size, *x.shape[2:])


def _windows(layer: Any, x: Array) -> Array:
    """Of ``x`` [b q h e] what stands from ``left`` before to ``right`` behind each block [b y k h e]."""
    filled = _filled(x, layer.chunk)
    if not (layer.left or layer.right):
        return _blocks(filled, layer.chunk)
    b, rows, *heads = filled.shape
    rims = (np.zeros((b, size, *heads)) for size in (layer.left, layer.right))
    wide = np.concatenate([next(rims), filled, next(rims)], axis=1)
    first = np.arange(0, rows, layer.chunk)[:, None]
    return wide[:, first + np.arange(layer.left + layer.chunk + layer.right)]


def _hidden(layer: Any, tokens: int) -> Array:
    """Which keys the queries do not see [y z k]; whatever queries of the padding see is dropped."""
    block = np.arange(0, tokens, layer.chunk)[:, None, None]
    query = block + np.arange(layer.chunk)[:, None]
    if layer.d_source:
        return np.zeros((len(block), layer.chunk, layer.n_source), bool)
    key = block - layer.left + np.arange(layer.left + layer.chunk + layer.right)
    hidden = (key < 0) | (key >= tokens)
    if layer.behind is not None:
        hidden = hidden | (key < query - layer.behind)
    if layer.ahead is not None:
        hidden = hidden | (key > query + layer.ahead)
    return hidden & (query < tokens)


def _mixed(layer: Any, w: Weights, q: Array, k: Array, v: Array, hidden: Array) -> Array:
    """Values weighted by scores [b y z h e]."""
    met = einsum("byzhe,bykhe->byzhk", q, k) * (1 / math.sqrt(layer.d_head))
    if layer.positions != "none":
        met = met + _by_distance(layer, w, q, k.shape[2]) * (1 / math.sqrt(layer.d_head))
    met = softcap(met, layer.softcap) if layer.softcap else met
    if hidden.any():
        met = np.where(hidden[:, :, None], -np.inf, met)
    return einsum("byzhk,bykhe->byzhe", softmax(met), v)


def _by_distance(layer: Any, w: Weights, q: Array, keys: int) -> Array:
    """Queries against the key of each distance [b y z h k]."""
    place, key = np.arange(layer.chunk)[:, None], np.arange(keys)
    if layer.positions == "table":  # from the farthest later key to the farthest earlier one
        reach = layer.n_distances // 2
        back = np.clip(place - (key - layer.left), -reach, layer.n_distances - 1 - reach)
        return einsum("byzhe,zke->byzhk", q, w.relative[back + reach])
    first = layer.n_distances - 1 - layer.n_ahead
    r = einsum("rd,dhe->rhe", _waves(first - np.arange(layer.n_distances), layer.d_model), w.wr)
    met = einsum("byzhe,rhe->byzhr", q, r)
    row = key - place + first - layer.left  # by how much the key is nearer than the farthest distance
    known = (row >= 0) & (row < layer.n_distances)
    picked = met[:, :, place, :, np.where(known, row, 0)]  # [z k b y h]
    return np.transpose(picked, (2, 3, 0, 4, 1)) * known[:, None]


def _waves(distances: Array, width: int) -> Array:
    """Sines of each distance, then cosines [r width]; the slowest wave takes 10000 tokens a radian."""
    half = width // 2
    angles = distances[:, None] / LONGEST_WAVE ** (np.arange(half) / max(half - 1, 1))
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros((len(distances), width % 2))], axis=1)


def _joined(w: Weights, mixed: Array, tokens: int) -> Array:
    """The heads' values [b y z h e] back in the stream [b q d]."""
    c = mixed.reshape(mixed.shape[0], -1, *mixed.shape[3:])[:, :tokens]
    return plus(einsum("bqhe,hed->bqd", c, w.wo), w.get("bo"))

"""Block-wise attention with left and right context and relative positions [shaw2018, dai2019]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import pad, softcap, softmax, softplus, times
from ....twins.heads import join, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix, table, vector

LONGEST_WAVE = 10000.0  # tokens per radian


def weights(layer: Any) -> list[Weight]:
    """Return the query, key, value and output projections, and the distance keys or their projection."""
    d, h, e = layer.d_model, layer.n_heads, layer.d_head
    found = projections("q", d, h, e, bias="q" if layer.bias else "")
    found += projections("kv", layer.d_source or d, h, e, bias="kv" if layer.bias else "")
    found += [matrix("wo", (h, e), d), *([vector("bo", d)] if layer.out_bias else [])]
    found += [vector("q_scale", e)] if layer.per_channel else []
    if layer.positions == "table":
        return [*found, table("relative", layer.n_distances, e)]
    return [*found, matrix("wr", d, (h, e))] if layer.positions == "projected" else found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ + q rᵀ) v · wo`` for ``x`` [b q d], block by block."""
    step.must_be_whole(layer.kind())
    if layer.fixed:
        return _with_fixed_queries(layer, w, x, step)
    padded = pad(x, layer.chunk) if layer.padded else x
    q = _split_blocks(_queries(layer, w, padded), layer.chunk)
    k, v = _keys_and_values(layer, w, padded, step, x.shape[1])
    return _project_output(w, _attend(layer, w, q, k, v, _mask(layer, x.shape[1])), x.shape[1])


def _with_fixed_queries(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Attend with queries shared by all blocks. If there is no source, the layer is computed only once."""
    b, q, _ = x.shape
    blocks, first = -(-q // layer.chunk), x[:1, : layer.chunk]
    if not np.array_equal(constant(x), np.tile(constant(first), (b, blocks, 1))[:, :q]):
        raise UnsupportedError("all blocks must have the same queries", where="context_attention")
    queries = _queries(layer, w, first)[:, None]  # [1 1 z h e]
    if not layer.d_source:
        k, v = (project(w, name, first)[:, None] for name in "kv")
        mask = np.zeros((1, layer.chunk, layer.chunk), bool)
        y = _project_output(w, _attend(layer, w, queries, times(k, layer.key_scale), v, mask), layer.chunk)
        return np.concatenate([y] * blocks, axis=1)[:, :q] + np.zeros((b, 1, 1))
    k, v = _keys_and_values(layer, w, x, step, q)
    return _project_output(w, _attend(layer, w, queries + np.zeros((b, blocks, 1, 1, 1)), k, v, _mask(layer, q)), q)


def _queries(layer: Any, w: Weights, x: Array) -> Array:
    """Return the queries [b q h e], optionally scaled per channel by ``softplus(s) / softplus(0)``."""
    q = project(w, "q", x)
    return q * (softplus(w.q_scale) * (1 / math.log(2))) if layer.per_channel else q


def _keys_and_values(layer: Any, w: Weights, x: Array, step: Step, tokens: int) -> tuple[Array, Array]:
    """Return each block's keys and values [b y k h e], projected from the block's context or source vectors."""
    source = _source(layer, step, -(-tokens // layer.chunk)) if layer.d_source else x
    if source.shape[-1] != (layer.d_source or layer.d_model):
        raise UnsupportedError(f"the source must have width {layer.d_source}", where="context_attention")
    k, v = (project(w, name, source) for name in "kv")
    k = times(k, layer.key_scale)
    if layer.d_source:
        return _split_blocks(k, layer.n_source), _split_blocks(v, layer.n_source)
    return _context_windows(layer, k), _context_windows(layer, v)


def _source(layer: Any, step: Step, blocks: int) -> Array:
    """Return the source vectors, padded to ``n_source`` vectors per block."""
    if step.source is None or -(-step.source.shape[1] // layer.n_source) != blocks:
        text = f"the source must have {layer.n_source} vectors for each of {blocks} blocks"
        raise UnsupportedError(text, where=layer.kind())
    return pad(step.source, layer.n_source)


def _split_blocks(x: Array, size: int) -> Array:
    """Pad ``x`` [b q h e] and split it into blocks [b y z h e]."""
    return pad(x, size).reshape(x.shape[0], -1, size, *x.shape[2:])


def _context_windows(layer: Any, x: Array) -> Array:
    """Split ``x`` [b q h e] into blocks [b y k h e] that include ``left`` and ``right`` context vectors."""
    if not (layer.left or layer.right):
        return _split_blocks(x, layer.chunk)
    padded = pad(x, layer.chunk)
    b, rows, *heads = padded.shape
    before, after = (np.zeros((b, size, *heads)) for size in (layer.left, layer.right))
    first = np.arange(0, rows, layer.chunk)[:, None]
    context = np.arange(layer.left + layer.chunk + layer.right)
    return np.concatenate([before, padded, after], axis=1)[:, first + context]


def _mask(layer: Any, tokens: int) -> Array:
    """Return a mask [y z k] of the hidden keys. Padded queries are not masked, since their results are discarded."""
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


def _attend(layer: Any, w: Weights, q: Array, k: Array, v: Array, hidden: Array) -> Array:
    """Compute each block's attention output [b y z h e]."""
    scores = einsum("byzhe,bykhe->byzhk", q, k) * (1 / math.sqrt(layer.d_head))
    if layer.positions != "none":
        scores = scores + _distance_scores(layer, w, q, k.shape[2]) * (1 / math.sqrt(layer.d_head))
    scores = softcap(scores, layer.softcap) if layer.softcap else scores
    if hidden.any():
        scores = np.where(hidden[:, :, None], -np.inf, scores)
    return einsum("byzhk,bykhe->byzhe", softmax(scores), v)


def _distance_scores(layer: Any, w: Weights, q: Array, keys: int) -> Array:
    """Compute the dot products of queries and distance keys [b y z h k]."""
    place, key = np.arange(layer.chunk)[:, None], np.arange(keys)
    if layer.positions == "table":  # from the farthest later key to the farthest earlier one
        reach = layer.n_distances // 2
        back = np.clip(place - (key - layer.left), -reach, layer.n_distances - 1 - reach)
        return einsum("byzhe,zke->byzhk", q, w.relative[back + reach])
    first = layer.n_distances - 1 - layer.n_ahead
    r = einsum("rd,dhe->rhe", _sinusoids(first - np.arange(layer.n_distances), layer.d_model), w.wr)
    scores = einsum("byzhe,rhe->byzhr", q, r)
    row = key - place + first - layer.left  # index of the distance, counted from the farthest one
    known = (row >= 0) & (row < layer.n_distances)
    picked = scores[:, :, place, :, np.where(known, row, 0)]  # [z k b y h]
    return np.transpose(picked, (2, 3, 0, 4, 1)) * known[:, None]


def _sinusoids(distances: Array, width: int) -> Array:
    """Return the sinusoids [r width] of all distances. The lowest frequency is 1e-4 radians per token."""
    half = width // 2
    angles = distances[:, None] / LONGEST_WAVE ** (np.arange(half) / max(half - 1, 1))
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros((len(distances), width % 2))], axis=1)


def _project_output(w: Weights, mixed: Array, tokens: int) -> Array:
    """Project the head outputs [b y z h e] to the residual stream [b q d], discarding the padding."""
    return join(w, mixed.reshape(mixed.shape[0], -1, *mixed.shape[3:])[:, :tokens])

"""ProphetNet self-attention [qi2020, Section 3.2] with a main stream and streams that predict later tokens.

The input ``x`` [b m·q d] concatenates the tokens of the main stream and the tokens of each predicting stream.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import plus, softmax
from ....twins.heads import dot_products, extend_cache, join, mix, output, project, projections
from ....twins.positions import buckets
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector

REORDERS_SUMS = True  # each stream reads the keys of the main stream


def weights(layer: Any) -> list[Weight]:
    """Return the projections, including the projection from tokens to one bias per bucket and head."""
    sizes = (layer.d_model, layer.n_heads, layer.d_model // layer.n_heads)
    biases = layer.n_buckets * layer.n_heads
    return [*projections("qkv", *sizes), *output(*sizes), matrix("wr", layer.d_model, biases), vector("br", biases)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Apply causal attention to the main stream. Predicting streams attend to the main stream and their own token."""
    step.must_have_copies(1 + layer.n_gram, layer.kind())
    new = step.ids.shape[1]
    q, k, v = (project(w, name, x) for name in "qkv")
    q = q / math.sqrt(layer.d_model // layer.n_heads)
    biases = plus(einsum("bqd,du->bqu", x, w.wr), w.br).reshape(*x.shape[:2], layer.n_buckets, layer.n_heads)
    keys, values = extend_cache(k[:, :new], v[:, :new], state)
    ahead = np.arange(keys.shape[1]) - step.positions[:, None]  # [q k]; positive: the key is later
    scores = dot_products(q[:, :new], keys) + _bias(layer, biases[:, :new], ahead)
    mixed = [mix(scores, values, hidden=ahead > 0)]
    for stream in range(layer.n_gram):
        own = slice((1 + stream) * new, (2 + stream) * new)
        parts = (q[:, own], k[:, own], v[:, own], biases[:, own])
        mixed.append(_predicting_stream(layer, stream, *parts, ahead, keys, values))
    return join(w, np.concatenate(mixed, axis=1))


def _predicting_stream(
    layer: Any, stream: int, q: Array, k: Array, v: Array, biases: Array, ahead: Array, keys: Array, values: Array
) -> Array:
    """Return the output of one stream [b q h e]. Streams that predict further ahead attend to fewer ``keys``."""
    scores = dot_products(q, keys) + _bias(layer, biases, ahead - 1)  # the stream is one position ahead
    hidden = (ahead > -stream) & (np.arange(keys.shape[1]) > 0)
    own = einsum("bqhe,bqhe->bhq", q, k) + np.transpose(biases[:, :, 0], (0, 2, 1))
    p = softmax(np.concatenate([np.where(hidden, -np.inf, scores), own[..., None]], axis=-1))
    return einsum("bhqk,bkhe->bqhe", p[..., :-1], values) + einsum("bhq,bqhe->bqhe", p[..., -1], v)


def _bias(layer: Any, biases: Array, ahead: Array) -> Array:
    """Return the position biases [b h q k] of all query-key pairs, given each query's bucket biases [b q u h]."""
    bucket = buckets(layer.n_buckets, layer.max_distance, ahead, causal=True)
    return np.transpose(biases[:, np.arange(len(ahead))[:, None], bucket], (0, 3, 1, 2))

"""ProphetNet's self-attention [qi2020, Section 3.2]: a main stream, and streams that predict the tokens ahead.

The streams stand one behind the other: ``x`` [b m·q d] holds all tokens of the main one, then those of each other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import plus, softmax
from ....twins.heads import join, mix, output, project, projections, scores
from ....twins.position_biases import relative_buckets
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Projections, and one from a token to a bias for each bucket of distances and each head."""
    d, h = layer.d_model, layer.n_heads
    found = [*projections("qkv", d, h, d // h), *output(d, h, d // h)]
    return [*found, matrix("wr", d, layer.n_buckets * h), vector("br", layer.n_buckets * h)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """The main stream attends as usual; the others to it and, for each token, to their own at the same place."""
    step.must_have_copies(1 + layer.n_gram, layer.kind())
    new = step.ids.shape[1]
    q, k, v = (project(w, name, x) for name in "qkv")
    q = q / math.sqrt(layer.d_model // layer.n_heads)
    biases = plus(einsum("bqd,du->bqu", x, w.wr), w.br).reshape(*x.shape[:2], layer.n_buckets, layer.n_heads)
    keys, values = k[:, :new], v[:, :new]
    if state:
        keys, values = np.concatenate([state["k"], keys], axis=1), np.concatenate([state["v"], values], axis=1)
    if state is not None:
        state["k"], state["v"] = keys, values
    ahead = np.arange(keys.shape[1]) - step.positions[:, None]  # [q k]; positive: the key comes later
    met = scores(q[:, :new], keys) + _bias(layer, biases[:, :new], ahead)
    mixed = [mix(met, values, hidden=ahead > 0)]
    for stream in range(layer.n_gram):
        own = slice((1 + stream) * new, (2 + stream) * new)
        mixed.append(_predicted(layer, stream, q[:, own], k[:, own], v[:, own], biases[:, own], ahead, (keys, values)))
    return join(w, np.concatenate(mixed, axis=1))


def _predicted(
    layer: Any,
    stream: int,
    q: Array,
    k: Array,
    v: Array,
    biases: Array,
    ahead: Array,
    main: tuple[Array, Array],
) -> Array:
    """What one stream's tokens gather [b q h e]; the farther ahead it predicts, the fewer keys it sees."""
    keys, values = main
    met = scores(q, keys) + _bias(layer, biases, ahead - 1)  # it stands one place further on
    hidden = (ahead > -stream) & (np.arange(keys.shape[1]) > 0)
    own = einsum("bqhe,bqhe->bhq", q, k) + np.transpose(biases[:, :, 0], (0, 2, 1))
    p = softmax(np.concatenate([np.where(hidden, -np.inf, met), own[..., None]], axis=-1))
    return einsum("bhqk,bkhe->bqhe", p[..., :-1], values) + einsum("bhq,bqhe->bqhe", p[..., -1], v)


def _bias(layer: Any, biases: Array, ahead: Array) -> Array:
    """Of each query's biases [b q u h], those of its distances [b h q k]."""
    bucket = relative_buckets(layer, ahead, causal=True)
    return np.transpose(biases[:, np.arange(len(ahead))[:, None], bucket], (0, 3, 1, 2))

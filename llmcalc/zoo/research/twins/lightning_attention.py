"""Lightning attention [qin2024, Section 3], computed block by block with a fixed decay per head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import ACTIVATIONS, operation, rmsnorm, sigmoid
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix, vector

STEEPEST = 8.0  # slopes range from 2^(-8/h) to 2^-8
EPS = 1e-5  # keeps the slopes of the last block above 0


def weights(layer: Any) -> list[Weight]:
    """Return the query, key, value, gate and output projections and a norm over all heads."""
    if layer.activation not in ACTIVATIONS:
        raise UnsupportedError(
            f"the NumPy model does not implement the activation {layer.activation}", where="lightning_attention"
        )
    heads = (layer.n_heads, layer.d_head)
    found = [matrix(name, layer.d_model, heads) for name in ("wq", "wk", "wv", "wgate")]
    return [*found, vector("norm", *heads, mean=1.0), matrix("wo", heads, layer.d_model)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``S = λ S + k vᵀ; o = S q``, normalise ``o``, and multiply by the gate ``sigmoid(x wgate)``."""
    act = ACTIVATIONS[layer.activation]
    q, k, v = (act(einsum("bqd,dhe->bqhe", x, w)) for w in (w.wq, w.wk, w.wv))
    decay = np.exp(-slopes(layer, step))
    o, after = (recurrence if step.decode else in_blocks)(q, k, v, decay, _start(q, v, state), layer.block)
    if state is not None:
        state["S"] = after
    o = rmsnorm(o.reshape(*x.shape[:2], -1), layer.norm_eps, w.norm.reshape(-1)).reshape(o.shape)
    return einsum("bqhv,hvd->bqd", o * sigmoid(einsum("bqd,dhv->bqhv", x, w.wgate)), w.wo)


def slopes(layer: Any, step: Step) -> Array:
    """Return the negative log decay of each head [h]. The values form a geometric sequence and shrink with depth."""
    found = 2.0 ** (-STEEPEST / layer.n_heads * np.arange(1, layer.n_heads + 1))
    number, blocks = step.depth
    return found * (1 - number / (blocks - 1 + EPS) + EPS)


def recurrence(q: Array, k: Array, v: Array, decay: Array, S: Array, block: int) -> tuple[Array, Array]:
    """Compute the outputs and the final state token by token, starting from the state ``S`` [b h e v]."""
    outputs = []
    for t in range(q.shape[1]):
        S = decay[:, None, None] * S + einsum("bhe,bhv->bhev", k[:, t], v[:, t])
        outputs.append(einsum("bhe,bhev->bhv", q[:, t], S))
    return np.stack(outputs, axis=1), S


@operation
def in_blocks(q: Array, k: Array, v: Array, decay: Array, S: Array, block: int) -> tuple[Array, Array]:
    """Compute the recurrence with softmax-free attention within blocks and a state between blocks."""
    outputs = []
    for first in range(0, q.shape[1], block):
        here = slice(first, first + block)
        qz, kz, vz = q[:, here], k[:, here], v[:, here]
        place = np.arange(qz.shape[1])
        distance = np.maximum(place[:, None] - place, 0)
        within = decay[:, None, None] ** distance * np.tri(len(place))  # [h q k]
        since = decay ** (place[:, None] + 1)  # [q h]
        until = decay ** (len(place) - 1 - place[:, None])
        o = einsum("bhqk,bkhv->bqhv", einsum("bqhe,bkhe->bhqk", qz, kz) * within, vz)
        outputs.append(o + einsum("bqhe,bhev->bqhv", qz * since[..., None], S))
        S = S * (decay ** len(place))[:, None, None] + einsum("bkhe,bkhv->bhev", kz * until[..., None], vz)
    # a training step ends with its sequence, so the final state has no gradient
    return np.concatenate(outputs, axis=1), constant(S)


def _start(q: Array, v: Array, state: State | None) -> Array:
    """Return the initial state, or zeros if there is no context."""
    return state["S"] if state and "S" in state else np.zeros((q.shape[0], *q.shape[2:], v.shape[3]))

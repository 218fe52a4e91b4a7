"""Real-gated linear recurrent unit [de2024, Section 2.4], a diagonal recurrence with input-dependent decay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .convolution import causal_convolution
from .functions import ACTIVATIONS, operation, sigmoid, softplus
from .step import State, Step, recalled
from .weights import Array, Weight, Weights, kernel, matrix, table, vector

SHARPNESS = 8.0  # the constant c in the paper


def weights(layer: Any) -> list[Weight]:
    """Return input and output projections, a short convolution, block-diagonal gates, and a decay rate per channel."""
    d, i, blocks = layer.d_model, layer.d_inner, layer.n_blocks
    width = i // blocks
    found = [matrix("wy", d, i), vector("by", i), matrix("wx", d, i), vector("bx", i), kernel("conv", i, layer.d_conv)]
    found += [vector("conv_b", i), vector("decay_rate", i), matrix("wo", i, d), vector("bo", d)]
    for gate in ("input", "decay"):
        found += [table(f"w_{gate}", blocks, width, width), table(f"b_{gate}", blocks, width)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``h = a h + sqrt(1 - a²) (i · u); y = (h · act(x wy)) wo``."""
    branch = ACTIVATIONS[layer.activation](einsum("bqd,di->bqi", x, w.wy) + w.by)
    u = causal_convolution(einsum("bqd,di->bqi", x, w.wx) + w.bx, w.conv, w.conv_b, state, "conv")
    blocks = u.reshape(*u.shape[:2], layer.n_blocks, -1)
    gates = (sigmoid(einsum("bqhp,hpo->bqho", blocks, getattr(w, f"w_{n}")) + getattr(w, f"b_{n}")) for n in GATES)
    let_in, forget = (gate.reshape(u.shape) for gate in gates)
    decay = np.exp(-SHARPNESS * softplus(w.decay_rate) * forget)
    h = _scan(decay, u * let_in, recalled(state, "h", u.shape[0], u.shape[2]), step.positions == 0)
    if state is not None:
        state["h"] = h[:, -1]
    return einsum("bqi,id->bqd", h * branch, w.wo) + w.bo


GATES = ("input", "decay")


@operation
def _scan(decay: Array, u: Array, h: Array, first: Array) -> Array:
    """Return the states ``h`` [b q i] after each token, without scaling the input of a sequence's first token."""
    all_h = []
    for t in range(u.shape[1]):
        a = decay[:, t]
        h = a * h + (1.0 if first[t] else np.sqrt(1.0 - a**2)) * u[:, t]
        all_h.append(h)
    return np.stack(all_h, axis=1)

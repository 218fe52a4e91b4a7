"""Merging characters into groups, and expanding these again [clark2021, Section 3.3], with convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.convolution import dense_convolution
from ....twins.functions import ACTIVATIONS, layernorm
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table, vector


def weights(layer: Any) -> list[Weight]:
    """A dense kernel, a bias and a norm."""
    d = layer.d_in
    found = [table("w", d, 2 * d if layer.back else d, layer.taps), vector("b", d)]
    return [*found, vector("norm", d, mean=1.0), vector("norm_b", d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """The first token and all groups of tokens but the last [b g d]; with ``back``, tokens again."""
    step.must_be_whole(layer.kind())
    act = ACTIVATIONS[layer.activation]
    if layer.back:
        y = act(dense_convolution(_expand(layer, x, step), w.w) + w.b)
        return layernorm(y, layer.eps, w.norm, w.norm_b)
    b, q, d = x.shape
    if q < layer.merge:
        raise UnsupportedError(f"{q} tokens are fewer than a group", where=layer.kind())
    step.saved_streams["characters"] = x
    groups = x[:, : q - q % layer.merge].reshape(b, -1, layer.merge, d)
    y = act(einsum("bgki,oik->bgo", groups, w.w) + w.b)
    return layernorm(np.concatenate([x[:, :1], y[:, :-1]], axis=1), layer.eps, w.norm, w.norm_b)


def _expand(layer: Any, x: Array, step: Step) -> Array:
    """The stream before merging, and the group of each token, or the last one if it has none [b q 2d]."""
    before = step.saved_streams.get("characters")
    if before is None:
        raise UnsupportedError("there is no stream of unmerged tokens", where=layer.kind())
    groups = np.repeat(x[:, 1:], layer.merge, axis=1)
    rest = np.repeat(x[:, -1:], before.shape[1] - groups.shape[1], axis=1)
    return np.concatenate([before, np.concatenate([groups, rest], axis=1)], axis=-1)

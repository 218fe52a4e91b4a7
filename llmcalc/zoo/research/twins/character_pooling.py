"""Convolutions that merge characters into groups or expand groups to characters [clark2021, Section 3.3]."""

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
    """Return the convolution kernel, its bias, and the norm."""
    d = layer.d_in
    found = [table("w", d, 2 * d if layer.back else d, layer.taps), vector("b", d)]
    return [*found, vector("norm", d, mean=1.0), vector("norm_b", d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Merge tokens into groups [b g d], or expand groups to tokens [b q d] if ``back`` is set."""
    step.must_be_whole(layer.kind())
    act = ACTIVATIONS[layer.activation]
    if layer.back:
        y = act(dense_convolution(_expand(layer, x, step), w.w) + w.b)
        return layernorm(y, layer.eps, w.norm, w.norm_b)
    b, q, d = x.shape
    if q < layer.merge:
        raise UnsupportedError(f"the input has {q} tokens, too few for one group", where=layer.kind())
    step.saved_streams["characters"] = x
    groups = x[:, : q - q % layer.merge].reshape(b, -1, layer.merge, d)
    y = act(einsum("bgki,oik->bgo", groups, w.w) + w.b)
    return layernorm(np.concatenate([x[:, :1], y[:, :-1]], axis=1), layer.eps, w.norm, w.norm_b)


def _expand(layer: Any, x: Array, step: Step) -> Array:
    """Concatenate unmerged tokens and their groups to [b q 2d]. Missing positions repeat the last group."""
    before = step.saved_streams.get("characters")
    if before is None:
        raise UnsupportedError("missing unmerged token stream", where=layer.kind())
    groups = np.repeat(x[:, 1:], layer.merge, axis=1)
    rest = np.repeat(x[:, -1:], before.shape[1] - groups.shape[1], axis=1)
    return np.concatenate([before, np.concatenate([groups, rest], axis=1)], axis=-1)

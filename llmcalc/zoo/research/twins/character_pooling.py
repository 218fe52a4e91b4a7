"""From characters to groups of them and back [clark2021, Section 3.3]: convolutions along the tokens."""

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
    """A kernel over all channels, a bias and a norm."""
    d = layer.d_in
    found = [table("w", d, 2 * d if layer.back else d, layer.taps), vector("b", d)]
    return [*found, vector("norm", d, mean=1.0), vector("norm_b", d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Groups [b g d] of tokens, of which the first one stands apart and the last is left out; or tokens again."""
    step.must_be_whole(layer.kind())
    if layer.back:
        made = dense_convolution(_beside(layer, x, step), w.w)
        return layernorm(ACTIVATIONS[layer.activation](made + w.b), layer.eps, w.norm, w.norm_b)
    b, q, d = x.shape
    if q < layer.merge:
        raise UnsupportedError(f"{q} tokens are fewer than a group", where=layer.kind())
    step.saved_streams["characters"] = x
    groups = x[:, : q - q % layer.merge].reshape(b, -1, layer.merge, d)
    made = ACTIVATIONS[layer.activation](einsum("bgki,oik->bgo", groups, w.w) + w.b)
    return layernorm(np.concatenate([x[:, :1], made[:, :-1]], axis=1), layer.eps, w.norm, w.norm_b)


def _beside(layer: Any, x: Array, step: Step) -> Array:
    """What the tokens were, and the group of each, the last one for those without [b q 2d]."""
    before = step.saved_streams.get("characters")
    if before is None:
        raise UnsupportedError("there are no tokens that have become groups", where=layer.kind())
    spread = np.repeat(x[:, 1:], layer.merge, axis=1)
    rest = before.shape[1] - spread.shape[1]
    return np.concatenate([before, np.concatenate([spread, np.repeat(x[:, -1:], rest, axis=1)], axis=1)], axis=-1)

"""AltUp [baykal2023]: several residual streams, of which a block runs on one and predicts and corrects the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import rmsnorm
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """A router on the active stream, what its result predicts and corrects, and a scale."""
    n = layer.n_streams
    found = [matrix("correct", n, n), matrix("predict", n, (n, n)), matrix("router", layer.d_model, n)]
    return [vector("output_scale", layer.d_model, mean=1.0), *found, vector("router_norm", layer.d_model, mean=1.0)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """It stands around a whole block, see ``predict`` and ``correct``."""
    raise UnsupportedError("altup begins a block, on streams that were made before it", where="altup")


def predict(layer: Any, w: Weights, streams: Array) -> Array:
    """What the streams [b q s d] will be: ``p_t = x_t + Σ_s c_st x_s``."""
    if len(streams.shape) != 4 or streams.shape[2] != layer.n_streams:
        raise UnsupportedError(f"altup needs {layer.n_streams} streams, made in front of the blocks", where="altup")
    c = einsum("bqi,its->bqst", _routed(layer, w, streams[:, :, layer.active]), w.predict)
    return einsum("bqsd,bqst->bqtd", streams, c) + streams


def correct(layer: Any, w: Weights, predicted: Array, block: Array) -> Array:
    """The prediction with its error on the active stream, where the block gives [b q d], shared out to all."""
    share = einsum("bqi,it->bqt", _routed(layer, w, block), w.correct) + 1.0
    error = block - predicted[:, :, layer.active]
    return predicted + share[..., None] * error[:, :, None]


def scaled(layer: Any, w: Weights, streams: Array) -> Array:
    """The active stream [b q d], as the layer's own input gates it."""
    active = streams[:, :, layer.active]
    return active * w.output_scale if layer.output_scaled else active


def added_beside(layer: Any, streams: Array, y: Array) -> Array:
    """``y`` [b q d] added to all streams but the first."""
    return np.concatenate([streams[:, :, :1], streams[:, :, 1:] + y[:, :, None]], axis=2)


def _routed(layer: Any, w: Weights, x: Array) -> Array:
    normed = rmsnorm(x, layer.norm_eps, w.router_norm) / layer.d_model
    return np.tanh(einsum("bqd,di->bqi", normed, w.router))

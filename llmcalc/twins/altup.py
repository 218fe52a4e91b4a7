"""AltUp [baykal2023]. A block runs on one residual stream, and the other streams are predicted and corrected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import rmsnorm
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the router, the router norm, the prediction and correction coefficients, and the output scale."""
    n = layer.n_streams
    found = [matrix("correct", n, n), matrix("predict", n, (n, n)), matrix("router", layer.d_model, n)]
    return [vector("output_scale", layer.d_model, mean=1.0), *found, vector("router_norm", layer.d_model, mean=1.0)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Raise an error, because AltUp wraps a block using ``predict`` and ``correct``."""
    raise UnsupportedError("altup must be the first sub-layer of a block", where="altup")


def predict(layer: Any, w: Weights, streams: Array) -> Array:
    """Return the predicted streams ``p_t = x_t + Σ_s c_st x_s`` [b q s d]."""
    if len(streams.shape) != 4 or streams.shape[2] != layer.n_streams:
        raise UnsupportedError(f"altup requires {layer.n_streams} residual streams", where="altup")
    c = einsum("bqi,its->bqst", _route(layer, w, streams[:, :, layer.active]), w.predict)
    return einsum("bqsd,bqst->bqtd", streams, c) + streams


def correct(layer: Any, w: Weights, predicted: Array, block: Array) -> Array:
    """Correct all predictions by the scaled difference between the block output ``block`` [b q d] and its
    prediction.
    """
    share = einsum("bqi,it->bqt", _route(layer, w, block), w.correct) + 1.0
    error = block - predicted[:, :, layer.active]
    return predicted + share[..., None] * error[:, :, None]


def scale_active(layer: Any, w: Weights, streams: Array) -> Array:
    """Return the active stream [b q d], multiplied by the output scale if the layer has one."""
    active = streams[:, :, layer.active]
    return active * w.output_scale if layer.output_scaled else active


def add_to_inactive(layer: Any, streams: Array, y: Array) -> Array:
    """Add ``y`` [b q d] to all streams except the first."""
    return np.concatenate([streams[:, :, :1], streams[:, :, 1:] + y[:, :, None]], axis=2)


def _route(layer: Any, w: Weights, x: Array) -> Array:
    normed = rmsnorm(x, layer.norm_eps, w.router_norm) / layer.d_model
    return np.tanh(einsum("bqd,di->bqi", normed, w.router))

"""Hyper-connections [zhu2024; xie2025] with several residual streams and learned read and write weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import operation, rmsnorm, sigmoid, silu, softmax
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector

Writer = Callable[[Array], Array]


def weights(layer: Any) -> list[Weight]:
    """Return the projections from the residual streams to the read, write and mixing weights."""
    streams = (layer.n_streams, layer.d_model)
    if layer.rank:
        found = [vector("norm", *streams), matrix("down", streams, layer.rank), matrix("up", layer.rank, streams)]
        return found + ([matrix("inject", streams, layer.n_streams)] if layer.writes else [])
    sizes = _parts(layer)
    return [matrix("fn", streams, sum(sizes)), vector("base", sum(sizes)), vector("scale", len(sizes), mean=1.0)]


def _parts(layer: Any) -> list[int]:
    """Return the numbers of read weights, write weights and mixing weights."""
    n = layer.n_streams
    return [n, *([n] if layer.writes else []), *([n * n] if layer.writes and layer.mixed else [])]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = Σ_s read[b q s] x[b q s d]`` of the residual streams, without writing to them."""
    if layer.writes:
        raise UnsupportedError("a hyper-connection with writes must be the pre-norm of a sub-layer", where=layer.kind())
    return connect(layer, w, x)[0]


def connect(layer: Any, w: Weights, x: Array) -> tuple[Array, Writer]:
    """Return the sub-layer's input [b q d] and a function that writes the sub-layer's output to the streams.

    Before the first block, ``x`` has shape [b q d] instead of [b q s d] and is copied to every stream.
    """
    streams = x if len(x.shape) == 4 else np.repeat(x[:, :, None], layer.n_streams, axis=2)
    return (_by_channel if layer.rank else _by_stream)(layer, w, streams)


def _by_stream(layer: Any, w: Weights, x: Array) -> tuple[Array, Writer]:
    """Compute ``x_j = write_j · y + Σ_i mix_ij x_i`` for ``y = f(Σ_i read_i x_i)``, with one weight per stream."""
    sizes = _parts(layer)
    normed = rmsnorm(x.reshape(*x.shape[:2], -1), layer.norm_eps).reshape(x.shape)
    made = einsum("bqsd,sdr->bqr", normed, w.fn)
    ends = np.cumsum(sizes)
    parts = [
        made[..., end - size : end] * w.scale[number] + w.base[end - size : end]
        for number, (end, size) in enumerate(zip(ends, sizes, strict=True))
    ]
    read = sigmoid(parts[0]) + layer.eps

    def write(y: Array) -> Array:
        share = layer.write_scale * sigmoid(parts[1]) + (0.0 if layer.mixed else layer.eps)
        new = share[..., None] * y[:, :, None]
        if not layer.mixed:
            return x + new
        logits = parts[2].reshape(*x.shape[:2], layer.n_streams, layer.n_streams)
        return einsum("bqst,bqsd->bqtd", doubly_stochastic(logits, layer.iterations, layer.eps), x) + new

    return np.sum(read[..., None] * x, axis=2), write


@operation
def doubly_stochastic(logits: Array, iterations: int, eps: float) -> Array:
    """Return a matrix [b q s t] with row and column sums of 1, computed by Sinkhorn iterations.

    The tape records all iterations as one operation, which the backward pass recomputes [xie2025, Section 4.3].
    """
    mix = softmax(logits) + eps
    mix = mix / (np.sum(mix, axis=-2, keepdims=True) + eps)
    for _ in range(iterations - 1):
        mix = mix / (np.sum(mix, axis=-1, keepdims=True) + eps)
        mix = mix / (np.sum(mix, axis=-2, keepdims=True) + eps)
    return mix


def _by_channel(layer: Any, w: Weights, x: Array) -> tuple[Array, Writer]:
    """Read the streams with per-channel weights from a low-rank projection (Qwen4). The streams are not mixed."""
    normed = rmsnorm(x, layer.norm_eps, 1.0 + w.norm)
    narrow = silu(einsum("bqsd,sdr->bqr", normed, w.down) / layer.n_streams)
    read = sigmoid(einsum("bqr,rsd->bqsd", narrow, w.up))
    if layer.writes:
        share = layer.write_scale * sigmoid(einsum("bqsd,sdt->bqt", normed, w.inject) / layer.n_streams)

    def write(y: Array) -> Array:
        return x + share[..., None] * y[:, :, None]

    return np.mean(read * normed, axis=2), write

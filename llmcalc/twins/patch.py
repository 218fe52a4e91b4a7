"""Patch embedding, which projects each patch of an image, video or token grid to one token."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import operation, plus
from .step import State, Step
from .weights import Array, Sizes, Weight, Weights, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return a patch-sized kernel and an optional bias."""
    return [table("w", layer.d_out, *_patch(layer)), *([vector("b", layer.d_out)] if layer.bias else [])]


def input_shape(layer: Any, tokens: int) -> Sizes:
    """Return the input data shape for a number of tokens, with one patch per token."""
    return tokens, *_patch(layer)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q o] = Σ x[b q c f i j] w + b`` over the channels, frames, rows and columns of each patch."""
    if layer.stride:
        return plus(_convolve_tokens(layer, w.w, x, step), w.get("b"))
    axes = "cfij" if layer.frames else "cij"
    return plus(einsum(f"bq{axes},o{axes}->bqo", x, w.w), w.get("b"))


def _convolve_tokens(layer: Any, taps: Array, x: Array, step: Step) -> Array:
    """Apply a zero-padded, strided convolution to a token grid [b q d]."""
    stride = layer.stride
    fits = len(x.shape) == 3 and x.shape[-1] == layer.channels and not layer.frames
    if step.grid is None or not fits or any(n % stride for n in step.grid):
        text = f"stride {stride} and channels {layer.channels} do not fit the stream"
        raise UnsupportedError(text, where="patch")
    if step.prompt:
        x, step.prompt = x[:, step.prompt :], 0
    (rows, columns), b = step.grid, x.shape[0]
    y = _convolve(x.reshape(b, rows, columns, -1), taps, stride)
    step.grid, step.n_merged = (rows // stride, columns // stride), layer.merge
    return y.reshape(b, -1, layer.d_out)


@operation
def _convolve(image: Array, taps: Array, stride: int) -> Array:
    """Convolve ``image`` [b y x c] with ``taps`` [o c i j], padding all sides with zeros. Return [b y x o]."""
    side = taps.shape[-1]
    b, rows, columns, c = image.shape
    before = (side - stride + 1) // 2
    above, below = (np.zeros((b, size, columns, c)) for size in (before, side - before))
    left, right = (np.zeros((b, rows + side, size, c)) for size in (before, side - before))
    wide = np.concatenate([left, np.concatenate([above, image, below], axis=1), right], axis=2)
    starts = [(i, j) for i in range(side) for j in range(side)]
    seen = np.stack([wide[:, i : i + rows : stride, j : j + columns : stride] for i, j in starts], axis=-1)
    return einsum("byxck,ock->byxo", seen, taps.reshape(*taps.shape[:2], -1))


def _patch(layer: Any) -> Sizes:
    return (layer.channels, *((layer.frames,) if layer.frames else ()), layer.side, layer.side)

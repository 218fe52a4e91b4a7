"""Convolution along the tokens with optional groups, as used at the input of an audio encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .convolution import centred_windows, valid_windows
from .functions import ACTIVATIONS, operation, plus, sigmoid
from .step import State, Step
from .weights import Array, Sizes, Weight, Weights, table, vector

EPS = 1e-5  # epsilon of the group norm
INPUT_FIELDS = frozenset({"of_data"})


def weights(layer: Any) -> list[Weight]:
    """Return the kernel, an optional bias, and an optional norm."""
    taps = table("w", layer.d_out, layer.d_in // layer.groups, layer.taps)
    norm = [vector("norm", layer.d_out, mean=1.0), vector("norm_b", layer.d_out)] if layer.normed else []
    return [taps, *([vector("b", layer.d_out)] if layer.bias else []), *norm]


def input_shape(layer: Any, tokens: int) -> Sizes:
    """Return the number of input frames and channels for the given number of tokens."""
    return _read(layer, tokens * layer.upsample + layer.extra), layer.d_in


def _read(layer: Any, rows: int) -> int:
    """Return the number of input rows required for ``rows`` output rows."""
    stride, taps = int(layer.stride), int(layer.taps)
    return rows * stride if layer.padded else (rows - 1) * stride + taps


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b t o] = act(Σ_τ x[b t·stride+τ d] w_τ[d o] + b)``, centred with zero padding or without padding.

    The convolution can be followed by a gated linear unit or a group norm.
    """
    step.must_be_whole(layer.kind())
    rows = step.ids.shape[1] * layer.upsample + layer.extra
    if x.shape[1] != _read(layer, rows):
        raise UnsupportedError(f"{x.shape[1]} input rows do not produce {rows} output rows", where="conv")
    y = ACTIVATIONS[layer.activation](plus(_convolve(x, w.w, layer), w.get("b")))
    if layer.gated:
        half = layer.d_out // 2
        return y[..., :half] * sigmoid(y[..., half:])
    return _group_norm(y, w.norm, w.norm_b) if layer.normed else y


@operation
def _convolve(x: Array, taps: Array, layer: Any) -> Array:
    """Convolve ``x`` [b q i] with ``taps`` [o i/groups k]."""
    whole = centred_windows(x, taps.shape[-1]) if layer.padded else valid_windows(x, taps.shape[-1])
    windows = whole[:, :: layer.stride]
    b, rows, _, width = windows.shape
    apart = windows.reshape(b, rows, layer.groups, -1, width)
    return einsum("bqgik,goik->bqgo", apart, taps.reshape(layer.groups, -1, *taps.shape[1:])).reshape(b, rows, -1)


@operation
def _group_norm(x: Array, scale: Array, bias: Array) -> Array:
    """Normalise ``x`` [b q i] over all tokens and channels of a sequence, with a scale and bias per channel."""
    centred = x - np.mean(x, axis=(1, 2), keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=(1, 2), keepdims=True) + EPS) * scale + bias

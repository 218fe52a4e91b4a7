"""Causal and centred convolutions along the tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .functions import ACTIVATIONS, operation, plus
from .step import State, recalled
from .weights import Array, Weights


def short_convolution(layer: Any, w: Weights, name: str, u: Array, state: State | None) -> Array:
    """Apply the causal convolution with the weight ``conv_{name}``, followed by the layer's activation."""
    taps, bias = getattr(w, f"conv_{name}"), w.get(f"conv_{name}_b")
    return ACTIVATIONS[layer.activation](causal_convolution(u, taps, bias, state, f"conv_{name}"))


def causal_convolution(u: Array, taps: Array, bias: Array | None, state: State | None, name: str) -> Array:
    """Compute ``y_t = Σ_k taps_k u_{t-K+1+k}`` for ``u`` [b q ...] and ``taps`` [... K]."""
    return plus(_convolve(u, taps, _past(u, taps, state, name)), bias)


def _past(u: Array, taps: Array, state: State | None, name: str) -> Array:
    """Return the tokens before ``u`` that the kernel covers, and store the last tokens of ``u`` in the state."""
    b, q, *channels = u.shape
    past = recalled(state, name, b, taps.shape[-1] - 1, *channels)
    if state is not None:
        state[name] = np.concatenate([past, u], axis=1)[:, q:]
    return past


@operation
def _convolve(u: Array, taps: Array, past: Array) -> Array:
    """Convolve the concatenation of ``past`` and ``u`` without padding."""
    channels = "xyz"[: len(u.shape) - 2]
    windows = valid_windows(np.concatenate([past, u], axis=1), taps.shape[-1])
    return einsum(f"bq{channels}k,{channels}k->bq{channels}", windows, taps)


@operation
def convolve_heads(x: Array, taps: Array) -> Array:
    """Convolve ``x`` [b q h e] with one centred kernel per head [h k]."""
    return einsum("bqhek,hk->bqhe", centred_windows(x, taps.shape[-1]), taps)


@operation
def depthwise_convolution(x: Array, taps: Array, before: int) -> Array:
    """Convolve each channel of ``x`` [b q i] with taps [i k], where ``before`` taps precede each token."""
    return einsum("bqik,ik->bqi", _padded_windows(x, taps.shape[-1], before), taps)


@operation
def dynamic_convolution(x: Array, taps: Array) -> Array:
    """Convolve ``x`` [b q h e] with one centred kernel per token and head [b q h k]."""
    return einsum("bqhek,bqhk->bqhe", centred_windows(x, taps.shape[-1]), taps)


@operation
def dense_convolution(x: Array, taps: Array) -> Array:
    """Convolve ``x`` [b q i] with a dense centred kernel [o i k]."""
    return einsum("bqik,oik->bqo", centred_windows(x, taps.shape[-1]), taps)


def centred_windows(x: Array, width: int) -> Array:
    """Return zero-padded windows [b q ... k] of ``width`` tokens, centred on each token of ``x`` [b q ...]."""
    return _padded_windows(x, width, (width - 1) // 2)


def _padded_windows(x: Array, width: int, before: int) -> Array:
    b, _, *channels = x.shape
    rims = [np.zeros((b, length, *channels)) for length in (before, width - 1 - before)]
    return valid_windows(np.concatenate([rims[0], x, rims[1]], axis=1), width)


def valid_windows(x: Array, width: int) -> Array:
    """Return windows [b q-k+1 ... k] of ``width`` tokens of ``x`` [b q ...], without padding."""
    rows = x.shape[1] - width + 1
    return np.stack([x[:, first : first + rows] for first in range(width)], axis=-1)


def causal_dynamic_convolution(x: Array, taps: Array, state: State | None, name: str) -> Array:
    """Compute ``y_t = Σ_n taps_tn x_{t-n}`` for ``x`` [b q ...], with ``taps`` per token [b q ... n]."""
    return _convolve_per_token(x, taps, _past(x, taps, state, name))


@operation
def _convolve_per_token(x: Array, taps: Array, past: Array) -> Array:
    """Convolve ``past`` and ``x`` with one kernel per token. The first tap applies to the token itself."""
    windows = valid_windows(np.concatenate([past, x], axis=1), taps.shape[-1])
    return einsum("bqgek,bqgek->bqge", windows[..., ::-1], taps)

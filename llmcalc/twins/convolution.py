"""Convolutions along the tokens, causal or centred."""

from __future__ import annotations

import numpy as np
from numpy import einsum

from .functions import operation, plus
from .step import State
from .weights import Array


def causal_convolution(u: Array, taps: Array, bias: Array | None, state: State | None, name: str) -> Array:
    """``y_t = Σ_k taps_k u_{t-K+1+k}`` for ``u`` [b q ...] and ``taps`` [... K]."""
    b, q, *channels = u.shape
    past = state[name] if state and name in state else np.zeros((b, taps.shape[-1] - 1, *channels))
    if state is not None:
        state[name] = np.concatenate([past, u], axis=1)[:, q:]
    return plus(_convolve(u, taps, past), bias)


@operation
def _convolve(u: Array, taps: Array, past: Array) -> Array:
    """Convolve ``past`` and ``u``, without padding."""
    b, q = u.shape[:2]
    width = taps.shape[-1]
    padded = np.concatenate([past, u], axis=1)
    windows = np.stack([padded[:, first : first + q] for first in range(width)], axis=-1)
    flat = einsum("bqxk,xk->bqx", windows.reshape(b, q, -1, width), taps.reshape(-1, width))
    return flat.reshape(u.shape)


@operation
def convolve_heads(x: Array, taps: Array) -> Array:
    """A centred convolution of ``x`` [b q h e] with one kernel per head [h k]."""
    return einsum("bqhek,hk->bqhe", centred_windows(x, taps.shape[-1]), taps)


@operation
def depthwise_convolution(x: Array, taps: Array, before: int) -> Array:
    """A depthwise convolution of ``x`` [b q i] with taps [i k], of which ``before`` precede each token."""
    width = taps.shape[-1]
    b, q, i = x.shape
    rims = (np.zeros((b, length, i)) for length in (before, width - 1 - before))
    padded = np.concatenate([next(rims), x, next(rims)], axis=1)
    windows = np.stack([padded[:, first : first + q] for first in range(width)], axis=-1)
    return einsum("bqik,ik->bqi", windows, taps)


@operation
def dynamic_convolution(x: Array, taps: Array) -> Array:
    """A centred convolution of ``x`` [b q h e] with one kernel per token and head [b q h k]."""
    return einsum("bqhek,bqhk->bqhe", centred_windows(x, taps.shape[-1]), taps)


@operation
def dense_convolution(x: Array, taps: Array) -> Array:
    """A centred dense convolution of ``x`` [b q i] with taps [o i k]."""
    return einsum("bqik,oik->bqo", centred_windows(x, taps.shape[-1]), taps)


def centred_windows(x: Array, width: int) -> Array:
    """Zero-padded windows of ``width`` tokens centred on each token of ``x`` [b q ...]: [b q ... k]."""
    b, q, *channels = x.shape
    before = (width - 1) // 2
    rims = (np.zeros((b, length, *channels)) for length in (before, width - 1 - before))
    padded = np.concatenate([next(rims), x, next(rims)], axis=1)
    return np.stack([padded[:, first : first + q] for first in range(width)], axis=-1)


def valid_windows(x: Array, width: int) -> Array:
    """Windows of ``width`` tokens of ``x`` [b q ...], without padding: [b q-k+1 ... k]."""
    rows = x.shape[1] - width + 1
    return np.stack([x[:, first : first + rows] for first in range(width)], axis=-1)


def causal_dynamic_convolution(x: Array, taps: Array, state: State | None, name: str) -> Array:
    """``y_t = Σ_n taps_tn x_{t-n}`` for ``x`` [b q ...], with ``taps`` per token [b q ... n]."""
    b, q, *channels = x.shape
    past = state[name] if state and name in state else np.zeros((b, taps.shape[-1] - 1, *channels))
    if state is not None:
        state[name] = np.concatenate([past, x], axis=1)[:, q:]
    return _causal_dynamic_convolution(x, taps, past)


@operation
def _causal_dynamic_convolution(x: Array, taps: Array, past: Array) -> Array:
    """Convolve ``past`` and ``x`` with taps per token."""
    q, width = x.shape[1], taps.shape[-1]
    padded = np.concatenate([past, x], axis=1)
    windows = np.stack([padded[:, width - 1 - back : width - 1 - back + q] for back in range(width)], axis=-1)
    return einsum("bqgek,bqgek->bqge", windows, taps)

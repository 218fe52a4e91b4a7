"""The short causal convolution in front of a recurrence: each channel mixes its last few tokens."""

from __future__ import annotations

import numpy as np
from numpy import einsum

from .functions import operation, plus
from .step import State
from .weights import Array


def causal_convolution(u: Array, taps: Array, bias: Array | None, state: State | None, name: str) -> Array:
    """``y_t = Σ_k taps_k u_{t-K+1+k}`` for ``u`` [b q ...] and ``taps`` [... K]; the last K - 1 tokens are kept."""
    b, q, *channels = u.shape
    past = state[name] if state and name in state else np.zeros((b, taps.shape[-1] - 1, *channels))
    if state is not None:
        state[name] = np.concatenate([past, u], axis=1)[:, q:]
    return plus(_slid(u, taps, past), bias)


@operation
def _slid(u: Array, taps: Array, past: Array) -> Array:
    """The taps on each window of ``past`` and ``u``."""
    b, q = u.shape[:2]
    width = taps.shape[-1]
    padded = np.concatenate([past, u], axis=1)
    windows = np.stack([padded[:, first : first + q] for first in range(width)], axis=-1)
    flat = einsum("bqxk,xk->bqx", windows.reshape(b, q, -1, width), taps.reshape(-1, width))
    return flat.reshape(u.shape)

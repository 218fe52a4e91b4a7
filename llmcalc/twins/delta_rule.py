"""Gated delta rule [yang2024, Section 3]. The state decays, and each write replaces the value stored at a key.

The shapes are [b q h k] for queries, keys and the logarithm of the decay α, [b q h v] for values, [b q h] for
write strengths β, and [b h k v] for the state S. With one decay per head, the shape of the decay is [b q h 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .step import State, recalled
from .weights import Array

Chunk = Callable[[Array, Array, Array, Array, Array, Array], tuple[Array, Array]]


def recurrence(q: Array, k: Array, v: Array, beta: Array, decay: Array, S: Array) -> tuple[Array, Array]:
    """Compute ``S = α S; S = S + k (β (v - Sᵀ k))ᵀ; y = Sᵀ q`` per token, and return the outputs and final state."""
    outputs = []
    for t in range(q.shape[1]):
        S = S * np.exp(decay[:, t])[..., None]
        stored = np.sum(S * k[:, t, :, :, None], axis=2)  # value stored at the key
        written = (v[:, t] - stored) * beta[:, t, :, None]
        S = S + k[:, t, :, :, None] * written[:, :, None, :]
        outputs.append(np.sum(S * q[:, t, :, :, None], axis=2))
    return np.stack(outputs, axis=1), S


def in_chunks(
    chunk: Chunk, length: int, q: Array, k: Array, v: Array, beta: Array, decay: Array, S: Array
) -> tuple[Array, Array]:
    """Compute the recurrence by calling ``chunk`` for every ``length`` tokens [yang2024, Section 3.3]."""
    S = S + 0.0 * k[:, 0, :, :, None] * v[:, 0, :, None, :]  # gives the initial state a gradient, as after a context
    outputs = []
    for first in range(0, q.shape[1], length):
        here = slice(first, first + length)
        o, S = chunk(q[:, here], k[:, here], v[:, here], beta[:, here, :, None], decay[:, here], S)
        outputs.append(o)
    return np.concatenate(outputs, axis=1), S


def inverse(earlier: Array) -> Array:
    """Return ``(1 + L)⁻¹`` for the strictly lower triangular part L of ``earlier`` [b h z z].

    With this inverse, all writes of a chunk are computed in parallel.
    """
    size = earlier.shape[-1]
    rows: list[Array] = []
    for row in range(size):
        found = np.broadcast_to(np.eye(size)[row], (*earlier.shape[:2], size))
        if rows:
            found = found - np.sum(earlier[:, :, row, :row, None] * np.stack(rows, axis=2), axis=2)
        rows.append(found)
    return np.stack(rows, axis=2)


def start(k: Array, v: Array, state: State | None) -> Array:
    """Return the cached state [b h k v], or zeros if there is no context."""
    return recalled(state, "S", k.shape[0], v.shape[2], k.shape[3], v.shape[3])

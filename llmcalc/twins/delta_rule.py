"""The delta rule [yang2024, Section 3]: a state that forgets, and in which a write replaces what its key held.

Queries, keys and the logarithm of the decay α are [b q h k] (with one decay a head: [b q h 1]), values [b q h v],
strengths β of the writes [b q h], the state S [b h k v].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .step import State
from .weights import Array

Chunk = Callable[[Array, Array, Array, Array, Array, Array], tuple[Array, Array]]


def recurrence(q: Array, k: Array, v: Array, beta: Array, decay: Array, S: Array) -> tuple[Array, Array]:
    """Token after token: ``S = α S; S = S + k (β (v - Sᵀ k))ᵀ; y = Sᵀ q``; and the last state."""
    outputs = []
    for t in range(q.shape[1]):
        S = S * np.exp(decay[:, t])[..., None]
        held = np.sum(S * k[:, t, :, :, None], axis=2)  # what the key reads
        written = (v[:, t] - held) * beta[:, t, :, None]
        S = S + k[:, t, :, :, None] * written[:, :, None, :]
        outputs.append(np.sum(S * q[:, t, :, :, None], axis=2))
    return np.stack(outputs, axis=1), S


def in_chunks(
    chunk: Chunk, length: int, q: Array, k: Array, v: Array, beta: Array, decay: Array, S: Array
) -> tuple[Array, Array]:
    """The same in chunks [yang2024, Section 3.3]; ``chunk`` gives the outputs of one and the state behind it."""
    S = S + 0.0 * k[:, 0, :, :, None] * v[:, 0, :, None, :]  # so that a gradient reaches it, as behind a text
    outputs = []
    for first in range(0, q.shape[1], length):
        here = slice(first, first + length)
        o, S = chunk(q[:, here], k[:, here], v[:, here], beta[:, here, :, None], decay[:, here], S)
        outputs.append(o)
    return np.concatenate(outputs, axis=1), S


def inverse(earlier: Array) -> Array:
    """``(1 + L)⁻¹`` for the part L of ``earlier`` [b h z z] below the diagonal, row after row.

    By it the writes of a chunk are solved for at once.
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
    """The state before the first token [b h k v]: zeros, if there is no text before it."""
    return state["S"] if state and "S" in state else np.zeros((k.shape[0], v.shape[2], k.shape[3], v.shape[3]))

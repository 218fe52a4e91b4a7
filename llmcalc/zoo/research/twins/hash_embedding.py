"""Hashed n-gram embeddings [pagnoni2024, Section 3.2.1]."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table

# bases of the hash polynomials; additional hash functions start again from the first base
PRIMES = (
    1000000007, 5915587277, 1500450271, 3267000013, 5754853343, 4093082899, 9576890767, 3628273133, 2860486313,
    5463458053, 3367900313,
)  # fmt: skip


def weights(layer: Any) -> list[Weight]:
    """Return the concatenated tables of all hash functions and n-gram lengths."""
    return [table("w", layer.n_functions * layer.n_lengths * layer.rows, layer.d_model)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``x + Σ table[hash mod rows]`` for the new tokens. The hashed n-grams include earlier tokens."""
    lengths = [int(word) for word in layer.lengths.split()]
    pairs = [(PRIMES[number % len(PRIMES)], length) for number in range(layer.n_functions) for length in lengths]
    text = step.ids if step.text is None else step.text
    for place, (base, length) in enumerate(pairs):
        hashed = polynomial(text, base, length)[:, -step.ids.shape[1] :]
        x = x + w.w[place * layer.rows + hashed % layer.rows]
    return x


def polynomial(ids: Array, base: int, length: int) -> Array:
    """Return ``Σ_i id_{t-length+1+i} baseⁱ`` [b q] for all tokens t in signed 64-bit arithmetic. Missing ids are 0.

    >>> polynomial(np.array([[5, 7, 2]]), 10, 2)
    array([[50, 75, 27]])
    """
    powers = np.full(length, base, np.int64) ** np.arange(length)
    padded = np.concatenate([np.zeros((len(ids), length - 1), np.int64), ids], axis=1)
    windows = np.stack([padded[:, first : first + ids.shape[1]] for first in range(length)], axis=-1)
    hashed: Array = np.sum(windows * powers, axis=-1)
    return hashed

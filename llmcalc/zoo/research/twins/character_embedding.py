"""Vocabulary-free character embeddings [clark2021, Section 3.1] from the concatenated rows of several hash tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core.errors import UnsupportedError
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, table

FACTORS = (31, 43, 59, 61, 73, 97, 103, 113, 137, 149, 157, 173, 181, 193, 211, 223)  # as in the paper


def weights(layer: Any) -> list[Weight]:
    """Return one table per hash function."""
    return [table("w", layer.n_hashes, layer.n_buckets, layer.d_out // layer.n_hashes)]


def forward(layer: Any, w: Weights, x: Array | None, step: Step, state: State | None) -> Array:
    """Concatenate the table rows [b q d] at the indices ``(id + 1) · factor mod n_buckets``."""
    if layer.n_hashes > len(FACTORS):
        raise UnsupportedError(f"n_hashes must be at most {len(FACTORS)}", where="character_embedding")
    buckets = [(step.ids + 1) * factor % layer.n_buckets for factor in FACTORS[: layer.n_hashes]]
    rows = np.concatenate([w.w[number, bucket] for number, bucket in enumerate(buckets)], axis=-1)
    return rows if x is None else x + rows

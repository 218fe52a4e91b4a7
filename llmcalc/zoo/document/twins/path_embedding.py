"""XPath embeddings [li2021, Section 3.1]. Every token has an empty path."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....twins.functions import relu
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return a tag table and an index table for each path step, and two projection matrices."""
    tables = (("tags", layer.n_tags), ("numbers", layer.n_numbers))
    found = [table(name, layer.depth, rows, layer.d_unit) for name, rows in tables]
    found += [matrix("w1", (layer.depth, layer.d_unit), layer.d_ff), vector("b1", layer.d_ff)]
    return [*found, matrix("w2", layer.d_ff, layer.d_out), vector("b2", layer.d_out)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``x + relu(z w1 + b1) w2 + b2``, where z [b q s e] contains the embeddings of s missing path steps."""
    missing = np.zeros((*step.ids.shape, layer.depth), int)
    steps = np.arange(layer.depth)
    z = w.tags[steps, missing + layer.tag_id] + w.numbers[steps, missing + layer.number_id]
    hidden = relu(einsum("bqse,sef->bqf", z, w.w1) + w.b1)
    return x + einsum("bqf,fd->bqd", hidden, w.w2) + w.b2

"""Embeddings of token boxes on the page [xu2020, Section 2.1]. All coordinates default to 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import InputError
from ....twins.embedding import position_rows
from ....twins.functions import layernorm
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return two edge tables and two size tables, plus the projection, norm and positions of any second stream."""
    found = [table(name, layer.rows, layer.d_edge) for name in ("across", "down")]
    found += [table(name, layer.rows, layer.d_size) for name in ("heights", "widths")]
    if not layer.d_stream:
        return found
    found += [matrix("w", 4 * layer.d_edge + 2 * layer.d_size, layer.d_stream), vector("b", layer.d_stream)]
    found += [vector("norm", layer.d_stream, mean=1.0), vector("norm_b", layer.d_stream)]
    return [*found, table("positions", layer.n_places, layer.d_stream)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Add the box embeddings to ``x``, or store them as a second stream and return ``x`` unchanged."""
    entries = _entries(layer, w, step)
    if not layer.d_stream:
        return x + entries
    made = einsum("bqd,dl->bql", entries, w.w) + w.b + w.positions[position_rows(layer.offset, layer.padding_id, step)]
    step.saved_streams["layout"] = layernorm(made, layer.eps, w.norm, w.norm_b)
    return x


def _entries(layer: Any, w: Weights, step: Step) -> Array:
    """Return the concatenated embeddings [b q d] of the four edges, the height and the width."""
    boxes = np.zeros((*step.ids.shape, 4), int) if step.boxes is None else step.boxes
    left, upper, right, lower = np.moveaxis(boxes, -1, 0)
    found = [(w.across, left), (w.down, upper), (w.across, right), (w.down, lower)]
    found += [(w.heights, lower - upper), (w.widths, right - left)]
    if min(place.min() for _, place in found) < 0 or max(place.max() for _, place in found) >= layer.rows:
        raise InputError(f"box edges must be from 0 to {layer.rows - 1}, with left <= right and top <= bottom")
    return np.concatenate([rows[place] for rows, place in found], axis=-1)

"""Relative position embeddings for pairs of token boxes [hong2021, Section 3.1]. Coordinates default to 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix

CORNERS = (0, 1, 2, 1, 2, 3, 0, 3)  # x and y of the upper left, upper right, lower right and lower left corners


def weights(layer: Any) -> list[Weight]:
    """Return the projection of the sinusoids to the head width."""
    return [matrix("w", len(CORNERS) * layer.d_wave, layer.d_head)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Store the embeddings of box pairs [b q k e] for the attention layers, and return ``x`` unchanged."""
    step.must_be_whole(layer.kind())
    boxes = np.zeros((*step.ids.shape, 4), int) if step.boxes is None else step.boxes
    corners = boxes[..., list(CORNERS)] * layer.scale
    apart = corners[:, None] - corners[:, :, None]  # [b q k 8]
    angles = apart[..., None] / 10000.0 ** (np.arange(0, layer.d_wave, 2) / layer.d_wave)
    waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).reshape(*apart.shape[:3], -1)
    step.saved_streams["pairs"] = einsum("bqki,ie->bqke", waves, w.w)
    return x

"""Vision or audio encoder features, concatenated from the outputs of selected blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import InputError
from .step import State, Step
from .weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return an empty list, since the layer has no weights."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q s·d] = [x_i[b q d], x_j[b q d], ...]`` of the residual streams after ``s`` selected blocks."""
    numbers = [int(number) for number in layer.blocks.split()]
    most = len(step.streams) - 1
    if not all(-most - 1 <= number <= most for number in numbers):
        raise InputError(f"blocks is {layer.blocks}, but the stack has {most} blocks", where="features")
    if layer.apart:
        step.tower_results.append(x)
        step.grid, step.n_merged = step.whole_grid, 1  # undo the merging of patches
    return np.concatenate([step.streams[number] for number in numbers], axis=-1)

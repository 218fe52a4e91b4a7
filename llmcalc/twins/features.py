"""What a language model takes of a tower: the stream behind some of its blocks, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import InputError
from .step import State, Step
from .weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """None."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``[x_i, x_j, ...]``, whatever the layers behind the blocks have made since."""
    chosen = [int(number) for number in layer.blocks.split()]
    most = len(step.streams) - 1
    if not all(-most - 1 <= number <= most for number in chosen):
        raise InputError(f"there are {most} blocks, but features are taken behind {layer.blocks}", where="features")
    if layer.apart:
        step.results.append(x)
        step.restore_grid()
    return np.concatenate([step.streams[number] for number in chosen], axis=-1)

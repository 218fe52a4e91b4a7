"""Short depthwise convolution with a residual connection (Inkling)."""

from __future__ import annotations

import math
from typing import Any

from ....twins.convolution import causal_convolution
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, kernel


def weights(layer: Any) -> list[Weight]:
    """Return one kernel per channel."""
    return [kernel("conv", layer.d_model, layer.d_conv)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``x + conv(x)``, divided by ``sqrt(d_conv + 1)`` if ``scaled`` is set."""
    y = causal_convolution(x, w.conv, None, state, "conv") + x
    return y * (1 / math.sqrt(layer.d_conv + 1)) if layer.scaled else y

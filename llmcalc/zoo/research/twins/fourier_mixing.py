"""Parameter-free token mixing with a Fourier transform (FNet) [leethorp2021, Section 3.2]."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return an empty list, because the layer has no weights."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Return the real part of the Fourier transform of ``x`` [b q d] along the width and the tokens."""
    step.must_be_whole(layer.kind())
    return np.real(np.fft.fft(np.fft.fft(x, layer.d_model, axis=2), x.shape[1], axis=1))

"""Mixing of tokens by a Fourier transform [leethorp2021, Section 3.2]: no weights at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights

WIDTH, TOKENS = 2, 1  # axes of the stream


def weights(layer: Any) -> list[Weight]:
    """None."""
    return []


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """The real part of ``x`` [b q d], transformed along its width and along its tokens."""
    step.must_be_whole(layer.kind())
    return np.real(np.fft.fft(np.fft.fft(x, layer.d_model, axis=WIDTH), x.shape[TOKENS], axis=TOKENS))

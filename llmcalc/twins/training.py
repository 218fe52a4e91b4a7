"""One training step of a twin: loss, gradients, and what was kept between the two passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .model import Model
from .tape import Tape
from .weights import Array


@dataclass(frozen=True)
class Trained:
    """A step's result: the loss, the gradient of each parameter that has one, and bytes saved for the backward pass."""

    loss: float
    gradients: dict[str, Array]
    saved_bytes: int


def train_step(model: Model, *inputs: Array, targets: Array) -> Trained:
    """Cross-entropy of the logits [b q V] against ``targets`` [b q], and its gradient."""
    tape = Tape()
    with tape.parameters_of(model) as parameters:
        logits, cache = model.prefill(*inputs)
        loss = cross_entropy(logits, targets)
        for state in cache.arrays():  # a text may go on: what is kept of it takes part, with no weight
            loss = loss + 0.0 * np.sum(state)
        tape.backward(loss)
    gradients = {name: variable.gradient for name, variable in parameters.items() if variable.gradient is not None}
    return Trained(float(loss.value), gradients, tape.saved_bytes)


def cross_entropy(logits: Array, targets: Array) -> Any:
    """The mean of ``log Σ exp(logits) - logits[target]``."""
    b, q, _ = logits.shape
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    chosen = shifted[np.arange(b)[:, None], np.arange(q), targets]
    return np.mean(np.log(np.sum(np.exp(shifted), axis=-1)) - chosen)

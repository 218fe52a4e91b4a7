"""One training step of a twin: loss, gradients, and what was kept between the two passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .functions import log_softmax
from .model import Model
from .tape import Tape
from .weights import Array


@dataclass(frozen=True)
class Trained:
    """A step's result: the loss, the gradient of each parameter that has one, and the sizes of the activations that
    were kept for the backward pass.
    """

    loss: float
    gradients: dict[str, Array]
    kept: tuple[int, ...]


def train_step(model: Model, *inputs: Array, targets: Array | None) -> Trained:
    """Cross-entropy of the logits [b q V] against ``targets`` [b q], and its gradient.

    Without targets, as for a model without a head, the loss is a weighted sum of what the model gives.
    """

    def text() -> Any:
        logits, cache = model.prefill(*inputs)
        loss = weighted_sum(logits) if targets is None else cross_entropy(logits, targets)
        for state in cache.arrays():  # a text may go on: what is kept of it takes part, with no weight
            loss = loss + 0.0 * np.sum(state)
        return loss

    tape = Tape()
    inputs = tuple(tape.data(given) if given.dtype.kind == "f" else given for given in inputs)
    return _trained(tape, model, text)


def tower_step(model: Model, pixels: Array, grid: tuple[int, int]) -> Trained:
    """The same for the tower of a model that sees: the gradient of a weighted sum of what it gives."""
    tape = Tape()
    return _trained(tape, model, lambda: sum(map(weighted_sum, model.see(tape.data(pixels), grid))))


def _trained(tape: Tape, model: Model, loss_of: Callable[[], Any]) -> Trained:
    with tape.parameters_of(model) as parameters:
        loss = loss_of()
        kept = tape.kept_for(loss).sizes()
        tape.backward(loss)
    gradients = {name: variable.gradient for name, variable in parameters.items() if variable.gradient is not None}
    return Trained(float(loss.value), gradients, kept)


def cross_entropy(logits: Array, targets: Array) -> Any:
    """The mean of ``-log softmax(logits)[target]``."""
    b, q, _ = logits.shape
    return -np.mean(log_softmax(logits)[np.arange(b)[:, None], np.arange(q), targets])


def weighted_sum(given: Array) -> Any:
    """A number on which each entry has an influence of its own."""
    return np.sum(given * np.cos(np.arange(given.size)).reshape(given.shape))

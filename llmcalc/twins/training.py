"""Training steps of NumPy models, with losses, gradients, and sizes of saved activations."""

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
class TrainResult:
    """Loss, gradients by parameter name, and sizes of the activations saved for the backward pass."""

    loss: float
    gradients: dict[str, Array]
    saved_sizes: tuple[int, ...]


def train_step(model: Model, *inputs: Array, targets: Array | int | None) -> TrainResult:
    """Run a training step with the cross-entropy of the logits [b q V] and ``targets`` [b q] as the loss.

    An integer is the target of all positions. If ``targets`` is None, as for a model without a head, the loss is a
    weighted sum of the output.
    """

    def text() -> Any:
        logits, cache = model.prefill(*inputs)
        expected = np.full(logits.shape[:2], targets) if isinstance(targets, int) else targets
        loss = weighted_sum(logits) if expected is None else cross_entropy(logits, expected)
        for later, predicted in enumerate(model.predictions, 1):
            loss = loss + cross_entropy(predicted, np.roll(np.asarray(expected), -later, axis=1))
        for state in cache.arrays():  # include the cache in the graph, with weight 0
            loss = loss + 0.0 * np.sum(state)
        return loss

    tape = Tape()
    inputs = tuple(tape.data(given) if given.dtype.kind == "f" else given for given in inputs)
    return _train(tape, model, text)


def tower_step(model: Model, pixels: Array, grid: tuple[int, int]) -> TrainResult:
    """Run a training step of a vision encoder with a weighted sum of the outputs as the loss."""
    tape = Tape()
    return _train(tape, model, lambda: sum(map(weighted_sum, model.see(tape.data(pixels), grid))))


def _train(tape: Tape, model: Model, loss_of: Callable[[], Any]) -> TrainResult:
    with tape.parameters_of(model) as parameters:
        loss = loss_of()
        saved_sizes = tape.saved_activations(loss).sizes()
        tape.backward(loss)
    gradients = {name: variable.gradient for name, variable in parameters.items() if variable.gradient is not None}
    return TrainResult(float(loss.value), gradients, saved_sizes)


def cross_entropy(logits: Array, targets: Array) -> Any:
    """Compute the mean of ``-log softmax(logits)[target]``."""
    b, q, _ = logits.shape
    return -np.mean(log_softmax(logits)[np.arange(b)[:, None], np.arange(q), targets])


def weighted_sum(given: Array) -> Any:
    """Compute the sum of all elements, with a different weight for each element."""
    return np.sum(given * np.cos(np.arange(given.size)).reshape(given.shape))

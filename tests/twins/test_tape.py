"""Gradients of operations and models against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.shrink import SEQ
from llmcalc.twins.functions import erf
from llmcalc.twins.tape import Tape
from llmcalc.twins.training import cross_entropy, train_step

STEP = 1e-6
MODELS = [
    "gpt3",
    "llama3",
    "gemma2",
    "deepseek-v3",
    "t5",
    "bart",
    "bert",
    "jamba",
    "mamba2",
    "hyena",
    "rwkv4",
    "qwen3-next",
]
CONFIGS: dict[str, dict[str, Any]] = {
    "diffllama": {},
    "dory": {"initializer_range": 1.0},  # the published one makes scores so steep that no step is small
    "hrm_text": {},
    "minimax": {},
    "mobilebert": {},
    "perceiver": {},
    "xlstm": {},
}

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: (a * b) ** 3,
    "negative": lambda a, b: -a * b,
    "maximum": lambda a, b: np.maximum(a, b),
    "minimum": lambda a, b: np.minimum(a, b),
    "logaddexp": lambda a, b: np.logaddexp(a, b),
    "abs": lambda a, b: np.abs(a - b),
    "exp": lambda a, b: np.exp(a * b),
    "tanh": lambda a, b: np.tanh(a * b),
    "sqrt": lambda a, b: np.sqrt(a * b),
    "sin": lambda a, b: np.sin(a * b),
    "log": lambda a, b: np.log(a * b),
    "arccos": lambda a, b: np.arccos(0.4 * a * b),
    "erf": lambda a, b: erf(a * b),
    "einsum": lambda a, b: np.einsum("ij,kj->ik", a, b),
    "outer": lambda a, b: np.einsum("ij,j->ij", a, b[0]),
    "take": lambda a, b: a[[0, 0, 1]] * b[1],
    "reshape": lambda a, b: a.reshape(-1, 2) * 2.0,
    "transpose": lambda a, b: np.transpose(a, (1, 0)) + 1.0,
    "cos": lambda a, b: np.cos(a) * b,
    "sum": lambda a, b: a * np.sum(b, axis=0, keepdims=True),
    "mean": lambda a, b: a * np.mean(b, axis=1, keepdims=True),
    "max": lambda a, b: a * np.max(b, axis=1, keepdims=True),
    "cumsum": lambda a, b: np.cumsum(a * b, axis=1),
    "where": lambda a, b: np.where(np.eye(3, 4) > 0, a, b * 2.0),
    "clip": lambda a, b: np.clip(a, 0.6, 0.9) * b,
    "repeat": lambda a, b: np.repeat(a, 2, axis=1) * 3.0,
    "concatenate": lambda a, b: np.concatenate([a, b], axis=1) * 2.0,
    "stack": lambda a, b: np.stack([a, b], axis=1) * 2.0,
    "fft": lambda a, b: np.real(np.fft.ifft(np.fft.fft(a, 8, axis=1) * np.fft.fft(b, 8, axis=1), axis=1)),
}


def weighted(value: Any) -> Any:
    """A number that depends on each entry in its own way."""
    return np.sum(value * np.cos(np.arange(np.size(np.asarray(value)))).reshape(value.shape))


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_of_operations_match_finite_differences(name: str) -> None:
    rng = np.random.default_rng(0)
    values = [0.5 + rng.random((3, 4)) for _ in range(2)]
    tape = Tape()
    variables = [tape.variable(value) for value in values]
    tape.backward(weighted(OPERATIONS[name](*variables)))
    for variable, value in zip(variables, values, strict=True):
        if variable.gradient is None:
            continue
        for index in np.ndindex(value.shape):
            moved = value.copy()
            moved[index] += STEP
            pair = [moved if other is value else other for other in values]
            slope = (weighted(OPERATIONS[name](*pair)) - weighted(OPERATIONS[name](*values))) / STEP
            assert np.isclose(variable.gradient[index], slope, rtol=1e-4, atol=1e-4), index


@pytest.mark.parametrize(
    "model", [*MODELS, *({"model_type": name, **CONFIGS[name]} for name in CONFIGS)], ids=[*MODELS, *CONFIGS]
)
def test_gradients_of_models_match_finite_differences(model: Any) -> None:
    small = llmcalc.load(model).shrink()
    twin = llmcalc.twin(small)
    rng = np.random.default_rng(0)
    ids, targets = (rng.integers(3, 90, (1, SEQ)) for _ in range(2))
    inputs = (ids, targets) if small.is_encoder_decoder else (ids,)
    logits = twin.forward(*inputs)
    targets = np.resize(targets, logits.shape[:2]) % logits.shape[2]
    trained = train_step(twin, *inputs, targets=targets)
    frozen = tuple(f"{stack.name}." for stack in small.stacks if stack.frozen)
    assert trained.gradients.keys() == {name for name in twin.parameters if not name.startswith(frozen)}
    direction = {name: rng.standard_normal(twin.parameters[name].shape) for name in trained.gradients}
    expected = sum(float(np.sum(trained.gradients[name] * direction[name])) for name in direction)

    def loss(step: float) -> float:
        moved = llmcalc.twin(small)
        moved.tensors.update({name: twin.tensors[name] + step * direction[name] for name in direction})
        return float(cross_entropy(moved.forward(*inputs), targets))

    assert np.isclose((loss(STEP) - loss(-STEP)) / (2 * STEP), expected, rtol=1e-4)
    assert np.isclose(loss(0.0), trained.loss, rtol=1e-12)
    assert sum(trained.saved_sizes) > 0


def test_an_operation_without_a_derivative_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="sinh"):
        np.sinh(Tape().variable(np.ones(3)))

"""What is kept for the backward pass is what it reads: everything else may be lost, and nothing of it may."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.shrink import SEQ
from llmcalc.twins.kept import Kept, owner
from llmcalc.twins.tape import Tape, Variable
from llmcalc.twins.training import cross_entropy, weighted_sum

MODELS = [
    "gpt2", "llama3", "gemma2", "gpt-oss", "bert", "bart", "t5", "chinchilla", "mixtral", "deepseek-v3", "minimax-m2",
    "switch", "mamba", "mamba2", "nemotron-3", "jamba", "hyena", "rwkv4", "rwkv5-eagle", "rwkv6-finch", "qwen3-next",
    "gemma4-e2b", "deepseek-v4-flash", "kimi-linear",
]  # fmt: skip
CONFIGS = ["diffllama", "dory", "mobilebert", "perceiver", "minimax", "squeezebert", "xlstm", "zaya"]


class Step:
    """A forward pass on a tape, and what is kept of it."""

    def __init__(self, small: Any) -> None:
        model, self.tape = llmcalc.twin(small), Tape()
        rng = np.random.default_rng(0)
        ids = rng.integers(3, 90, (2, SEQ))
        with self.tape.parameters_of(model) as self.parameters:
            logits, _ = model.prefill(*((ids, ids) if small.is_encoder_decoder else (ids,)))
        has_head = any(layer.kind() == "head" for _, layer in small.main.outputs)
        targets = rng.integers(3, 90, logits.shape[:2])
        self.loss: Variable = cross_entropy(logits, targets) if has_head else weighted_sum(logits)
        self.kept = self.tape.kept_for(self.loss)

    def lose_all_else(self) -> int:
        """Overwrite whatever was computed and is not kept; how many numbers that was."""
        weights = {id(owner(variable.value)) for variable in self.parameters.values()}
        copies = {id(copy) for copy, _ in self.kept.copied.values()}
        done, lost = weights | copies, 0
        for node in (node for node in self.tape.nodes if node.made and np.ndim(node.value)):
            whole = owner(node.value)
            if id(whole) not in done and whole.dtype.kind in "fc":
                done.add(id(whole))
                _, needed = self.kept.held.get(id(whole), (whole, np.zeros(whole.size, bool)))
                flat = whole.ravel("K")
                assert np.shares_memory(flat, whole)
                flat[~needed] = np.nan
                lost += int((~needed).sum())
        return lost

    def gradients(self) -> dict[str, Any]:
        self.tape.backward(self.loss)
        return {name: variable.gradient for name, variable in self.parameters.items() if variable.gradient is not None}


@pytest.mark.parametrize("model", [*MODELS, *({"model_type": name} for name in CONFIGS)], ids=[*MODELS, *CONFIGS])
def test_the_backward_pass_reads_nothing_that_is_not_kept(model: Any) -> None:
    small = llmcalc.load(model).shrink()
    expected = Step(small).gradients()
    step = Step(small)
    assert step.lose_all_else() > 0
    found = step.gradients()
    assert found.keys() == expected.keys()
    for name in expected:
        assert np.array_equal(found[name], expected[name]), name


@pytest.mark.parametrize("model", ["gpt2", "llama3", "mixtral", "mamba"])
def test_the_backward_pass_reads_whatever_is_kept(model: str) -> None:
    small = llmcalc.load(model).shrink()
    for number in range(len(Step(small).kept.held)):
        step = Step(small)
        whole, needed = list(step.kept.held.values())[number]
        whole.ravel("K")[needed] = np.nan
        with np.errstate(invalid="ignore"):
            found = step.gradients()
        assert not all(np.isfinite(gradient).all() for gradient in found.values()), whole.shape


def test_numbers_count_once_whatever_looks_at_them() -> None:
    x = np.arange(3.0 * 5 * 7).reshape(3, 5, 7)
    kept = Kept()
    for view in (x[:, :2], x[:, 1:3], np.transpose(x[:, 0], (1, 0)), x[0, 0, 0]):
        kept.add(view)
    copy = np.transpose(x, (2, 0, 1)).reshape(-1)
    assert owner(copy) is not owner(x)
    kept.same(copy, x)
    assert kept.sizes() == (3 * 3 * 7,)
    kept.add(copy)
    assert kept.sizes() == (3 * 5 * 7,)


def test_weights_and_what_is_made_of_them_one_by_one_are_there_anyway() -> None:
    tape = Tape()
    w, table = tape.variable(np.ones(7)), tape.variable(np.ones((5, 7)))
    x = table[np.array([0, 3, 3])]
    y = x * (1.0 + w) * np.arange(7.0)
    assert tape.kept_for(np.sum(y)).sizes() == (3 * 7,)  # x alone, for the gradient of w


def test_what_the_loss_does_not_depend_on_is_not_kept() -> None:
    tape = Tape()
    table = tape.variable(np.ones((5, 7)))
    x = table[np.array([0, 3])]
    _ = np.exp(x) * x
    assert tape.kept_for(np.sum(x)).sizes() == ()

"""The backward pass reads all saved activations, and nothing else that was computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.core.shrink import SEQ
from llmcalc.twins.tape import MemoryLedger, Tape, Variable, owner
from llmcalc.twins.training import cross_entropy, weighted_sum

MODELS = [
    "gpt2", "llama3", "gemma2", "gpt-oss", "bert", "bart", "t5", "chinchilla", "mixtral", "deepseek-v3", "minimax-m2",
    "switch", "mamba", "mamba2", "nemotron-3", "jamba", "hyena", "rwkv4", "rwkv5-eagle", "rwkv6-finch", "qwen3-next",
    "gemma4-e2b", "deepseek-v4-flash", "kimi-linear",
]  # fmt: skip
CONFIGS = ["diffllama", "dory", "mobilebert", "perceiver", "minimax", "squeezebert", "xlstm", "zaya"]


class ForwardPass:
    """A forward pass on a tape, and its saved activations."""

    def __init__(self, small: Any) -> None:
        model, self.tape = llmcalc.twin(small), Tape()
        rng = np.random.default_rng(0)
        ids = rng.integers(3, 90, (2, SEQ))
        with self.tape.parameters_of(model) as self.parameters:
            logits, _ = model.prefill(*((ids, ids) if small.is_encoder_decoder else (ids,)))
        has_head = any(layer.kind() == "head" for _, layer in small.main.outputs)
        targets = rng.integers(3, 90, logits.shape[:2])
        self.loss: Variable = cross_entropy(logits, targets) if has_head else weighted_sum(logits)
        self.saved = self.tape.saved_activations(self.loss)

    def overwrite_unsaved(self) -> int:
        """Overwrite every computed element that is not saved; returns their number."""
        weights = {id(owner(variable.value)) for variable in self.parameters.values()}
        copies = {id(copy) for copy, _ in self.saved.copies.values()}
        done, overwritten = weights | copies, 0
        for node in (node for node in self.tape.nodes if node.is_activation and np.ndim(node.value)):
            whole = owner(node.value)
            if id(whole) not in done and whole.dtype.kind in "fc":
                done.add(id(whole))
                _, mask = self.saved.used.get(id(whole), (whole, np.zeros(whole.size, bool)))
                flat = whole.ravel("K")
                assert np.shares_memory(flat, whole)
                flat[~mask] = np.nan
                overwritten += int((~mask).sum())
        return overwritten

    def gradients(self) -> dict[str, Any]:
        self.tape.backward(self.loss)
        return {name: variable.gradient for name, variable in self.parameters.items() if variable.gradient is not None}


@pytest.mark.parametrize("model", [*MODELS, *({"model_type": name} for name in CONFIGS)], ids=[*MODELS, *CONFIGS])
def test_the_backward_pass_reads_only_saved_activations(model: Any) -> None:
    small = llmcalc.load(model).shrink()
    expected = ForwardPass(small).gradients()
    step = ForwardPass(small)
    assert step.overwrite_unsaved() > 0
    found = step.gradients()
    assert found.keys() == expected.keys()
    for name in expected:
        assert np.array_equal(found[name], expected[name]), name


@pytest.mark.parametrize("model", ["gpt2", "llama3", "mixtral", "mamba"])
def test_the_backward_pass_reads_every_saved_activation(model: str) -> None:
    small = llmcalc.load(model).shrink()
    for number in range(len(ForwardPass(small).saved.used)):
        step = ForwardPass(small)
        whole, mask = list(step.saved.used.values())[number]
        whole.ravel("K")[mask] = np.nan
        with np.errstate(invalid="ignore"):
            found = step.gradients()
        assert not all(np.isfinite(gradient).all() for gradient in found.values()), whole.shape


def test_overlapping_views_and_copies_count_once() -> None:
    x = np.arange(3.0 * 5 * 7).reshape(3, 5, 7)
    ledger = MemoryLedger()
    for view in (x[:, :2], x[:, 1:3], np.transpose(x[:, 0], (1, 0)), x[0, 0, 0]):
        ledger.add(view)
    copy = np.transpose(x, (2, 0, 1)).reshape(-1)
    assert owner(copy) is not owner(x)
    ledger.alias(copy, x)
    assert ledger.sizes() == (3 * 3 * 7,)
    ledger.add(copy)
    assert ledger.sizes() == (3 * 5 * 7,)


def test_elementwise_functions_of_weights_do_not_count() -> None:
    tape = Tape()
    w, table = tape.variable(np.ones(7)), tape.variable(np.ones((5, 7)))
    x = table[np.array([0, 3, 3])]
    y = x * (1.0 + w) * np.arange(7.0)
    assert tape.saved_activations(np.sum(y)).sizes() == (3 * 7,)  # x alone, for the gradient of w


def test_activations_that_the_loss_does_not_depend_on_do_not_count() -> None:
    tape = Tape()
    table = tape.variable(np.ones((5, 7)))
    x = table[np.array([0, 3])]
    _ = np.exp(x) * x
    assert tape.saved_activations(np.sum(x)).sizes() == ()

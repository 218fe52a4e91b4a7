"""Mistakes that somebody could make, in a declaration or in a model: ``verify`` finds each, and says where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pytest

import llmcalc
from llmcalc import layers
from llmcalc.core import architecture as core
from llmcalc.core.architecture import Architecture
from llmcalc.core.declaration import Declaration
from llmcalc.core.ledger import entries
from llmcalc.core.shrink import SEQ, shrink
from llmcalc.twins.step import Step
from llmcalc.verification import verify
from llmcalc.verification.sharded_checks import run_alone

FORWARD, BACKWARD, DECODE = "matmul FLOPs, forward", "matmul FLOPs, backward", "matmul FLOPs, 3 decode steps"
PARAMETERS, EXPERTS, STATE, SAVED = "parameters", "active experts", "state", "saved activations"
LOGITS, COLLECTIVES = "logits, step by step", "collectives, tp 2"
MOVED, MOVED_IN_DECODE = MOVES = "matmul traffic, forward", "matmul traffic, 3 decode steps"


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    """Declarations are cached; those with a mistake must be read, and must be forgotten."""
    for cached in (core.shared_declaration, run_alone):
        cached.cache_clear()
    yield
    for cached in (core.shared_declaration, run_alone):
        cached.cache_clear()


def marked(model: str, mark: str) -> Architecture:
    """A model whose stacks have other names, so that no earlier result is taken for theirs."""
    found = llmcalc.load(model)
    return replace(found, stacks=tuple(replace(stack, name=f"{stack.name} {mark}") for stack in found.stacks))


def found_wrong(architecture: Architecture) -> dict[str, str]:
    """The failing checks of the small model, with what they say."""
    return {check.quantity: check.detail for check in verify(architecture).checks if not (check.ok or check.source)}


# ------------------------------------------------------------------ in a declaration


def line(begins: str, instead: str) -> Callable[[Declaration], None]:
    """One equation is another."""

    def change(declaration: Declaration) -> None:
        places = [n for n, text in enumerate(declaration.lines) if text.startswith(begins)]
        assert places, f"no line begins {begins!r}"
        declaration.lines[places[0]] = instead

    return change


def tensor(name: str, *groups: tuple[str, ...]) -> Callable[[Declaration], None]:
    """One tensor has other dimensions."""

    def change(declaration: Declaration) -> None:
        assert name in [one.name for one in declaration.tensors]
        declaration.tensors[:] = [
            replace(one, groups=groups) if one.name == name else one for one in declaration.tensors
        ]

    return change


def forgotten(name: str) -> Callable[[Declaration], None]:
    """A tensor is left out."""

    def change(declaration: Declaration) -> None:
        kept = [one for one in declaration.tensors if one.name != name]
        assert len(kept) < len(declaration.tensors)
        declaration.tensors[:] = kept

    return change


def state(name: str, *axes: str) -> Callable[[Declaration], None]:
    """One tensor of the state has other axes; without axes it is left out."""

    def change(declaration: Declaration) -> None:
        assert name in [one.name for one in declaration.states]
        changed = [replace(one, axes=axes) if one.name == name else one for one in declaration.states]
        declaration.states[:] = [one for one in changed if one.axes]

    return change


class Mistake(NamedTuple):
    """Where a mistake is made, and which checks have to find it, no other."""

    model: str
    kind: str
    change: Callable[[Declaration], None]
    found_by: set[str]


DECLARED = {
    "an axis of a weight is dropped": Mistake("gpt2", "attention", tensor("wk", ("d",), ("g",)), {PARAMETERS}),
    "a bias is forgotten": Mistake("gpt2", "mlp", forgotten("bu"), {PARAMETERS}),
    "a norm has a row too many": Mistake("llama3", "norm", tensor("w", ("d",), ("d",)), {PARAMETERS}),
    "an expert has two downward matrices": Mistake(
        "mixtral", "moe", tensor("wd", ("x",), ("f",), ("d",), ("j",)), {PARAMETERS, "active parameters"}
    ),
    "an expert's tensor is not said to be one": Mistake(
        "mixtral", "moe", lambda d: d.tensors.__setitem__(-1, replace(d.tensors[-1], active=None)),
        {"active parameters", *MOVES},
    ),
    "a token has an expert too many": Mistake(
        "deepseek-v3", "moe", lambda d: d.axes.update(j=int(d.axes["j"]) + 1),
        {EXPERTS, "active parameters", FORWARD, BACKWARD, DECODE, SAVED, COLLECTIVES, *MOVES},
    ),
    "scores run over widths twice": Mistake(
        "gpt2", "attention", line("s[b h q k] = q", "s[b h q k] = q[b q h e] k[b k g v] | g:h core"),
        {FORWARD, BACKWARD, DECODE},
    ),
    "keys are not cached": Mistake("llama3", "attention", state("k"), {STATE}),
    "keys are cached for each query head": Mistake("llama3", "attention", state("k", "b", "t", "h", "e"), {STATE}),
    "a latent is cached for each head": Mistake("deepseek-v3", "mla", state("ckv", "b", "t", "h", "C"), {STATE}),
    "a recurrent state has lost its width": Mistake("mamba2", "mamba2", state("ssm", "b", "H", "P"), {STATE}),
    "a short convolution keeps nothing": Mistake("mamba", "mamba", state("conv"), {STATE, MOVED_IN_DECODE}),
    "a convolution has one tap": Mistake(
        "mamba", "mamba", line("u[b qc i] = u", "u[b qc i] = u[b qc i] D[i] | prefill"), {FORWARD, BACKWARD}
    ),
    "a step of decoding reads one token": Mistake(
        "deepseek-v3", "mla", line("s[b h q k] = ql", "s[b h q] = ql[b q h C] ckv[b q C] | decode model"),
        {DECODE, MOVED_IN_DECODE},
    ),
    "each query reads keys of its own": Mistake(
        "gpt2", "attention", line("s[b h q k] = q", "s[b h q k] = q[b q h e] k[b q k g e] | g:h core"),
        {SAVED, MOVED},
    ),
    "a chunk sees all tokens": Mistake(
        "qwen3-next", "gated_delta_net",
        line("s[b qz vh z]", "s[b qz vh q] = q[b qz kh dk] k[b q kh dk] | kh:vh prefill scan"), {FORWARD, BACKWARD},
    ),
    "a gradient does not flow": Mistake(
        "gpt2", "mlp", line("y[b q d] = m", "y[b q d] = m[b q f] wd[f d] | nograd"), {BACKWARD, SAVED}
    ),
    "a product is taken for a sum": Mistake("llama3", "mlp", line("m[b q f]", "m[b q f] = add(a, u)"), {SAVED}),
    "a squashed score is not kept": Mistake(
        "gemma2", "attention", line("s[b h q k] = softcap", "s[b h q k] = scale(s) | core"), {SAVED}
    ),
    "a norm keeps a row for each head": Mistake(
        "minimax-m2", "attention", line("q[b q h e] = rmsnorm", "q[b q h e] = rmsnorm(q, q_norm)"),
        {SAVED, COLLECTIVES},
    ),
    "a scan does not keep what it reads": Mistake(
        "rwkv4", "rwkv_time_mix", line("o[b q i] = wkv", "o[b q i] = scale(k)"), {SAVED}
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", DECLARED)
def test_a_mistake_in_a_declaration_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, kind, change, found_by = DECLARED[mistake]
    owner = layers.find(kind)[0]
    right = owner.declare

    def declare(layer: Any) -> Declaration:
        declaration = right(layer)
        change(declaration)
        return declaration

    monkeypatch.setattr(owner, "declare", declare)
    assert found_wrong(marked(model, mistake)).keys() == found_by


# ------------------------------------------------------------------ in a model


def _twice(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: (right(*given), right(*given))[0]


def _one_more_expert(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda layer, w, x, step=None: right(replace(layer, top_k=layer.top_k + 1), w, x, step)


def _without(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return lambda right: lambda layer: [weight for weight in right(layer) if weight.name != name]


def _without_gradient(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: np.asarray(right(*given))


def _one_key_more(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda layer, step: None if (kept := right(layer, step)) is None else kept + 1


def _step_by_step(right: Callable[..., Any]) -> Callable[..., Any]:
    return right.__wrapped__  # type: ignore[attr-defined, no-any-return]


def _without_memory(right: Callable[..., Any]) -> Callable[..., Any]:
    return lambda u, taps, past: right(u, taps, 0.0 * past)


class Slip(NamedTuple):
    """Which function of which model is written wrong, how, and which checks find it."""

    model: str
    module: str
    function: str
    wrong: Callable[[Callable[..., Any]], Callable[..., Any]]
    found_by: set[str]


EXECUTED = {
    "a bias is forgotten": Slip("gpt2", "attention", "weights", _without("bq"), {PARAMETERS}),
    "a norm is forgotten": Slip("deepseek-v3", "norm", "weights", _without("w"), {PARAMETERS, "active parameters"}),
    "a layer is computed twice": Slip("gpt2", "mlp", "forward", _twice, {FORWARD, BACKWARD, DECODE, *MOVES}),
    "a head is computed twice": Slip("t5", "head", "forward", _twice, {FORWARD, BACKWARD, DECODE, *MOVES}),
    "a token is sent to an expert too many": Slip(
        "mixtral", "routing", "route_with_shared", _one_more_expert,
        {EXPERTS, "active parameters", FORWARD, BACKWARD, DECODE, SAVED, COLLECTIVES, *MOVES},
    ),
    "a window keeps a key too many": Slip(
        "mimo-v2-flash", "attention", "_n_kept", _one_key_more, {STATE, DECODE, MOVED_IN_DECODE}
    ),
    "a gradient is cut off": Slip("llama3", "mlp", "activate", _without_gradient, {BACKWARD, SAVED, COLLECTIVES}),
    "a softmax keeps its steps": Slip("llama3", "attention", "softmax", _step_by_step, {SAVED}),
    "a scan keeps its steps": Slip("mamba", "mamba", "_scan", _step_by_step, {SAVED}),
    "a convolution forgets the tokens before": Slip("mamba2", "convolution", "_convolve", _without_memory, {LOGITS}),
}  # fmt: skip


@pytest.mark.parametrize("slip", EXECUTED)
def test_a_mistake_in_a_model_is_found(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, module, function, wrong, found_by = EXECUTED[slip]
    twin = import_module(f"llmcalc.twins.{module}")
    monkeypatch.setattr(twin, function, wrong(getattr(twin, function)))
    assert found_wrong(llmcalc.load(model)).keys() == found_by


def test_places_that_are_off_by_one_in_a_decode_step_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Step.positions.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Step, "positions", property(lambda step: right(step) + (1 if step.decode else 0)))
    assert LOGITS in found_wrong(llmcalc.load("llama3"))


def test_a_difference_in_what_is_kept_names_the_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    mlp = layers.find("mlp")[0]
    right = mlp.declare

    def declare(layer: Any) -> Declaration:
        declaration = right(layer)
        line("m[b q f]", "m[b q f] = add(a, u)")(declaration)
        return declaration

    monkeypatch.setattr(mlp, "declare", declare)
    model = marked("llama3", "named")
    width = next(entry.layer.d_ff for entry in entries(shrink(model)) if isinstance(entry.layer, mlp))
    size = 2 * SEQ * width  # elements of one tensor: 2 sequences of SEQ tokens
    detail = found_wrong(model)[SAVED]
    assert f"observed only: {size}, {size}, {size}" in detail
    assert "declared only: none" in detail

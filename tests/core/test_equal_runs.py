"""Runs of equal blocks: merging them changes no number, and a repeated pattern costs as much as one period."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.calc.layer_collectives import layer_collectives, sublayer
from llmcalc.calc.layer_collectives.recorder import Recorder
from llmcalc.calc.sharding import Mesh
from llmcalc.calc.walk import Conventions, walk
from llmcalc.calc.work import works
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.core.ledger import distinct_entries, rows, stack_entries
from llmcalc.core.record import changed
from llmcalc.kernels.layer_operations import operations
from llmcalc.kernels.operations import GroupedGemm
from llmcalc.layers import Attention, Embedding, Head, Mlp, Norm
from llmcalc.layers.parts.rope import Rope

MODELS = ("gemma3-4b", "jamba-v0.1", "zamba2-1.2b", "gpt-oss-20b", "albert-base")


def block(name: str, window: int | None = None) -> Block:
    attention = Attention(11, 6, 2, 5, rope=Rope(), window=window)
    parts = (
        Sublayer("attention", (Branch("attention", attention),), Norm(11)),
        Sublayer("mlp", (Branch("mlp", Mlp(11, 13)),), Norm(11)),
    )
    return Block(name, parts)


def alternating(periods: int, *, shared: bool = False) -> Architecture:
    """Local and global blocks in turn, as equal but different objects."""
    runs = [run for _ in range(periods) for run in (Run(block("local", 7), 2), Run(block("global"), 1, shared))]
    inputs, outputs = (Named("token", Embedding(17, 11)),), (Named("norm", Norm(11)), Named("head", Head(17, 11)))
    return Architecture("alternating", (Stack("decoder", 11, inputs, tuple(runs), outputs),))


def numbers(model: Architecture) -> dict[str, Any]:
    training = llmcalc.memory(model, mode="training", batch=2, seq=19)
    exchanged = llmcalc.communication(model, mode="train", batch=2, seq=19, dp=2, tp=2, zero=3).to_dict()
    return {
        "params": llmcalc.params(model).to_dict(),
        "rows": sum(row.size * row.copies for row in rows(model.stacks, distinct=True)),
        "flops": llmcalc.flops(model, mode="train", batch=2, seq=19).to_dict(),
        "state": llmcalc.state(model, batch=2, seq=19).to_dict(),
        "communication": {name: value for name, value in exchanged.items() if name != "collectives"},
        "serving": llmcalc.memory(model, batch=2, seq=19, weights="q4_k_m").to_dict(),
        "training": training.to_dict(),
        "timeline": [moment.total for moment in training.worst.timeline],
    }


def moved(model: Architecture) -> int:
    return llmcalc.traffic(model, mode="decode", batch=2, context=19).total


@pytest.mark.parametrize("name", MODELS)
def test_merging_equal_runs_changes_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = llmcalc.load(name)
    merged, bytes_of_merged = numbers(model), moved(model)
    monkeypatch.setattr(Stack, "first_runs", property(lambda stack: tuple(range(len(stack.runs)))))
    separate = changed(model, stacks=tuple(changed(stack) for stack in model.stacks))
    assert numbers(separate) == merged
    assert moved(separate) == pytest.approx(bytes_of_merged, rel=1e-7)  # expected numbers of experts are rounded


@pytest.mark.parametrize("shared", [False, True])
def test_equal_runs_are_listed_once_with_their_counts(shared: bool) -> None:
    (stack,) = alternating(5, shared=shared).stacks
    assert stack.first_runs == (0, 1) * 5
    assert stack.first_blocks == tuple(3 * number + place for number in range(5) for place in (0, 2))
    found = [(entry.section, entry.stored, entry.applied) for entry in distinct_entries(stack) if entry.run is not None]
    assert found == [("local", 10, 10)] * 4 + [("global", 5, 5)] * 4
    assert sum(entry.applied for entry in stack_entries(stack)) == sum(e.applied for e in distinct_entries(stack))


def test_the_cost_does_not_grow_with_the_number_of_periods() -> None:
    one, many = alternating(1), alternating(700)
    conventions = Conventions("prefill", "causal", None)
    assert len(works(many, conventions)) == len(works(one, conventions))
    assert len(rows(many.stacks, distinct=True)) == len(rows(one.stacks))
    assert sum(work.entry.applied for work in works(many, conventions) if work.entry.run is not None) == 700 * sum(
        work.entry.applied for work in works(one, conventions) if work.entry.run is not None
    )
    few = alternating(2)
    assert len(llmcalc.flops(many).works) == len(llmcalc.flops(few).works)


class Forgetful(dict[object, object]):
    """A dictionary that finds nothing."""

    def __contains__(self, key: object) -> bool:
        return False


@pytest.mark.parametrize("name", ["kimi-k3", "deepseek-v4", "jamba-v0.1", "zamba2-1.2b", "pythia-70m", "command-r"])
@pytest.mark.parametrize("mesh", [Mesh(tp=2, sp=True), Mesh(dp=2, tp=4, ep=2, etp=4)], ids=str)
def test_the_equations_of_equal_layers_are_followed_once(
    name: str, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, conventions = llmcalc.load(name), Conventions("prefill", "dense", None)
    followed = sublayer._follow_equations
    calls: list[object] = []

    def follow(scope: Any) -> Any:
        calls.append(scope.declaration)
        return followed(scope)

    def found() -> tuple[list[Any], int]:
        calls.clear()
        return layer_collectives(walk(model, conventions), mesh, 16, 32, training=True), len(calls)

    monkeypatch.setattr(sublayer, "_follow_equations", follow)
    once, n_once = found()
    start = Recorder.__init__

    def forget(recorder: Any, *values: Any) -> None:
        start(recorder, *values)
        recorder.layers = Forgetful()

    monkeypatch.setattr(Recorder, "__init__", forget)
    again, n_again = found()
    assert once == again
    assert n_once <= n_again == len([*walk(model, conventions)])
    assert name != "kimi-k3" or n_once < n_again / 3


def test_the_operations_of_equal_layers_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llmcalc.load("kimi-k3")
    found = operations(model, Mesh(tp=2), Conventions("prefill", "causal", None, "last"))
    assert len({id(operation.place) for operation in found}) > 160
    assert all(work.place is operation.place for operation in found for work in operation.works)
    first, later, *_ = (operation for operation in found if isinstance(operation, GroupedGemm))
    assert first.place is not later.place
    assert first.weights == later.weights
    assert first.activations == later.activations

"""What holds for every architecture, whatever it is made of: sums, monotone costs, plain data, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.flops import Flops
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Architecture, declare
from llmcalc.core.errors import SizeError
from llmcalc.core.ledger import Row, entries, rows
from llmcalc.core.tree import Node
from llmcalc.core.workload import Workload
from llmcalc.schema.describe import describe
from llmcalc.testing import architectures, meshes, workloads

# written out, not imported: what tensor parallelism divides, and what it repeats where there is less of it than ranks
DIVIDED, SCARCE = {"h", "f", "V", "g", "H", "i", "vh", "kh", "G"}, {"g", "kh", "G"}
BF16 = 2  # bytes
TOO_SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
patient = settings(max_examples=25, deadline=None, suppress_health_check=TOO_SLOW)


def adds_up(node: Node) -> None:
    assert not node.children or node.value == sum(child.value for child in node.children)
    for child in node.children:
        adds_up(child)


def lengths(architecture: Architecture, workload: Workload, target: int) -> dict[str, Any]:
    """The workload's sizes as keywords; ``target`` for a decoder beside an encoder."""
    both = architecture.is_encoder_decoder and workload.mode != "decode"
    return {"batch": workload.batch, "seq": workload.seq, "target_seq": target if both else None, "extend": True}


def has_logits(architecture: Architecture) -> bool:
    return any(declare(entry.layer).logits for entry in entries(architecture))


def work_of(architecture: Architecture, workload: Workload, target: int = 5) -> Flops:
    return llmcalc.flops(
        architecture, **lengths(architecture, workload, target), mode=workload.mode, attention=workload.attention,
        logits=workload.logits if has_logits(architecture) else "all", context=workload.context,
    )  # fmt: skip


@patient
@given(architectures())
def test_parameters_are_the_sum_of_their_parts(architecture: Architecture) -> None:
    counted = llmcalc.params(architecture)
    outside = [row for row in counted.rows if row.entry.run is None and not row.tensor.buffer]
    assert sum(counted.by_layer) + sum(row.size * row.copies for row in outside) == counted.total
    assert sum(counted.by_component.values()) == counted.total == counted.tree.value
    assert 0 <= counted.active <= counted.total
    adds_up(counted.tree)
    assert counted.active_tree.value == counted.active
    adds_up(counted.active_tree)


SIZES = ("batch", "seq", "context", "target_seq")
FLOPS = ("forward", "backward", "matmul", "other", "total")
SERVING = ("weights", "state", "activations", "peak")
TRAINING = ("weights", "gradients", "optimizer", "activations", "peak")


@patient
@given(architectures(), workloads(), st.integers(1, 64), st.sampled_from(SIZES))
def test_more_tokens_never_cost_less(architecture: Architecture, workload: Workload, target: int, more: str) -> None:
    greater, longer = workload, target + 1 if more == "target_seq" else target
    if more == "context":
        # behind no token at all, learned ones before the text run too, as they do once
        workload = replace(workload, mode="decode", context=max(1, workload.context))
    if more != "target_seq":
        greater = replace(workload, **{more: getattr(workload, more) + 1})
    few, many = work_of(architecture, workload, target), work_of(architecture, greater, longer)
    assert all(getattr(few, part) <= getattr(many, part) for part in FLOPS)


@patient
@given(
    architectures(), workloads(), st.integers(1, 64), st.sampled_from(["batch", "seq", "target_seq"]),
    st.sampled_from(["flash", "eager"]), st.sampled_from(["none", "op", "layer:2", "full"]),
    st.integers(1, 3),
)  # fmt: skip
def test_more_tokens_never_take_less_memory(
    architecture: Architecture, workload: Workload, target: int, more: str, attention: str, recompute: str, beams: int
) -> None:
    workload = replace(workload, mode="forward", context=0)
    greater, longer = workload, target + 1 if more == "target_seq" else target
    if more != "target_seq":
        greater = replace(workload, **{more: getattr(workload, more) + 1})
    few, many = lengths(architecture, workload, target), lengths(architecture, greater, longer)
    roles = {tensor.state.role for tensor in llmcalc.state(architecture).tensors}
    serving = {"beams": beams} if roles else {}
    serving |= {"page": 3} if roles & {"kv", "index"} else {}
    held = [llmcalc.memory(architecture, **sizes, **serving) for sizes in (few, many)]
    assert all(getattr(held[0], part) <= getattr(held[1], part) for part in SERVING)
    settings = {"mode": "training", "attention": attention, "recompute": recompute}
    trained = [llmcalc.memory(architecture, **sizes, **settings) for sizes in (few, many)]
    assert all(getattr(trained[0], part) <= getattr(trained[1], part) for part in TRAINING)


@patient
@given(architectures(), st.integers(1, 64), st.integers(1, 4), st.sampled_from(["forward", "train", "decode"]))
def test_a_corner_of_a_sweep_is_the_scalar(architecture: Architecture, seq: int, batch: int, mode: str) -> None:
    over = {"seq": (1, seq), "batch": (batch, batch + 1)}
    steps = [f"flops.{part}" for part in FLOPS]
    sizes_alone = ["state.elements", "state.bytes", "params.active", *(f"memory.{part}" for part in SERVING)]
    quantities = [*steps, *sizes_alone]
    step = {"mode": mode, "context": 0 if mode == "decode" else None}
    found = dict(llmcalc.sweep(architecture, steps, over, **step, extend=True).values)
    found |= llmcalc.sweep(architecture, sizes_alone, over, extend=True).values
    sizes = {"seq": seq, "batch": batch, "extend": True}
    answers = {
        "flops": llmcalc.flops(architecture, **sizes, mode=mode, context=0 if mode == "decode" else None),
        "state": llmcalc.state(architecture, **sizes),
        "memory": llmcalc.memory(architecture, **sizes),
        "params": llmcalc.params(architecture),
    }
    for quantity in quantities:
        group, part = quantity.split(".")
        assert found[quantity][-1, 0] == pytest.approx(getattr(answers[group], part), rel=1e-15)


@patient
@given(architectures(), workloads())
def test_results_are_plain_data(architecture: Architecture, workload: Workload) -> None:
    state = llmcalc.state(architecture, batch=workload.batch, seq=workload.seq, extend=True)
    for result in (llmcalc.params(architecture), work_of(architecture, workload), state):
        data = result.to_dict()
        assert json.loads(json.dumps(data)) == data


@patient
@given(architectures())
def test_a_description_is_the_architecture(architecture: Architecture) -> None:
    described = describe(architecture)
    assert yaml.safe_load(yaml.safe_dump(described)) == described
    assert llmcalc.load(described).stacks == architecture.stacks


@given(meshes())
def test_the_ranks_of_a_mesh_hold_the_experts_evenly(mesh: Mesh) -> None:
    assert mesh.ranks == mesh.dp * mesh.tp * mesh.pp * mesh.cp
    assert mesh.expert_replicas * mesh.ep * mesh.expert_tp == mesh.dp * mesh.cp * mesh.tp


def replicas(row: Row, mesh: Mesh) -> int:
    """How often each element of a tensor stands among the ranks that share the model, counted from its axes."""
    expert = row.tensor.active is not None
    ranks = (mesh.etp or mesh.tp) if expert else mesh.tp
    divided = 1
    for axis in row.tensor.axes:
        length = row.declaration.axes[axis]
        if axis in DIVIDED and ranks > 1:
            divided = max(divided, length if axis in SCARCE and ranks % length == 0 else ranks)
    return ranks // divided


@st.composite
def shared_models(draw: st.DrawFn) -> tuple[Architecture, Mesh]:
    """An architecture whose sizes tensor- and expert-parallel ranks divide, for the most part, and such ranks."""
    tensor, data = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    expert, split = draw(st.sampled_from([1, tensor])), draw(st.sampled_from([None, 1]))
    mesh = Mesh(dp=data * expert * tensor, tp=tensor, ep=expert, etp=split)
    return draw(architectures(multiple=tensor)), mesh


@patient
@given(shared_models())
def test_ranks_hold_the_whole_and_its_named_replicas(drawn: tuple[Architecture, Mesh]) -> None:
    """The ranks that share a model hold each tensor once, or as often as it is replicated among them, and padding."""
    architecture, mesh = drawn
    try:
        found = llmcalc.memory(architecture, mode="training", seq=3, mesh=mesh)
    except SizeError:  # sizes that follow from others, which the ranks do not divide
        assume(False)
    kept = [row for row in rows(architecture.stacks) if row.copies and not row.tensor.buffer]
    shares = [mesh.share_of_weight(row.tensor, row.declaration, row.size) for row in kept]
    for row, share in zip(kept, shares, strict=True):
        expert = row.tensor.active is not None
        ranks = (mesh.etp or mesh.tp) * mesh.ep if expert else mesh.tp
        padding = 0
        if "V" in row.tensor.axes and row.tensor.table != "other":
            vocabulary = int(row.declaration.axes["V"])
            padding = row.size // vocabulary * (mesh.padded(vocabulary) - vocabulary)
        if "xz" in row.tensor.axes and expert:  # rows of experts that compute nothing, on every rank
            scored = int(row.declaration.axes["xz"])
            idle = scored - int(row.declaration.axes["x"])
            padding += row.size // scored * idle * (mesh.ep - 1)
        assert share * ranks == (row.size + padding) * replicas(row, mesh)
    assert found.weights == BF16 * sum(share * row.copies for row, share in zip(kept, shares, strict=True))


@patient
@given(architectures(), st.sampled_from([1, 2, 5, 64]), st.integers(0, 3))
def test_zero_divides_what_replicas_hold(architecture: Architecture, data: int, zero: int) -> None:
    """All ranks together hold each divided state once, and what is not divided as often as there are ranks."""
    alone = llmcalc.memory(architecture, mode="training", seq=3, extend=True)
    found = llmcalc.memory(architecture, mode="training", seq=3, extend=True, mesh=Mesh(dp=data, zero=zero))
    for part, stage in (("optimizer", 1), ("gradients", 2), ("weights", 3)):
        one, together = getattr(alone, part), getattr(found, part) * data
        if zero >= stage:
            assert one <= together < one + 2 * data  # whole bytes of what experts hold, and of the rest
        else:
            assert together == one * data


@patient
@given(architectures(), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_stages_hold_all_layers(architecture: Architecture, stages: int, batches: int, interleaved: bool) -> None:
    """Together they hold every layer once; a table that is tied across stages is on both."""
    assume(len(architecture.stacks) == 1 and sum(run.count for run in architecture.main.runs) % stages == 0)
    mesh = Mesh(pp=stages, micro_batches=batches, virtual_stages=2 if interleaved and stages > 1 else 1)
    found = llmcalc.memory(architecture, mode="training", seq=3, extend=True, mesh=mesh)
    whole = llmcalc.memory(architecture, mode="training", seq=3, extend=True)
    together = sum(stage.weights for stage in found.stages)
    again = sum(row.size for row in rows(architecture.stacks) if row.copies < row.entry.stored or shared_run(row))
    assert whole.weights <= together <= whole.weights + 2 * stages * again


def shared_run(row: Row) -> bool:
    return row.entry.run is not None and row.entry.stack.runs[row.entry.run].shared

"""What holds for every architecture, whatever it is made of: sums, monotone costs, plain data, and the way back."""

from __future__ import annotations

import json
from dataclasses import replace

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.flops import Flops
from llmcalc.calc.shard import Mesh
from llmcalc.core.architecture import Architecture
from llmcalc.core.tree import Node
from llmcalc.core.workload import Workload
from llmcalc.schema.describe import describe
from llmcalc.testing import architectures, meshes, workloads

TOO_SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
patient = settings(max_examples=25, deadline=None, suppress_health_check=TOO_SLOW)


def adds_up(node: Node) -> None:
    assert not node.children or node.value == sum(child.value for child in node.children)
    for child in node.children:
        adds_up(child)


def work_of(architecture: Architecture, workload: Workload) -> Flops:
    return llmcalc.flops(
        architecture, batch=workload.batch, seq=workload.seq, mode=workload.mode, attention=workload.attention,
        logits=workload.logits, context=workload.context, extend=True,
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


@patient
@given(architectures(), workloads(), st.sampled_from(["batch", "seq"]))
def test_more_tokens_never_cost_less(architecture: Architecture, workload: Workload, more: str) -> None:
    less, greater = workload, replace(workload, **{more: getattr(workload, more) + 1})
    assert work_of(architecture, less).matmul <= work_of(architecture, greater).matmul
    assert work_of(architecture, less).total <= work_of(architecture, greater).total
    kept = [llmcalc.state(architecture, batch=each.batch, seq=each.seq, extend=True) for each in (less, greater)]
    assert kept[0].elements <= kept[1].elements
    assert kept[0].bytes <= kept[1].bytes


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
    assert mesh.ranks == mesh.data * mesh.tensor * mesh.pipeline * mesh.context
    assert mesh.expert_replicas * mesh.expert == mesh.data

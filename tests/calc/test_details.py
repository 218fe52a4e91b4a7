"""Details that totals do not show."""

from __future__ import annotations

import itertools

import pytest

import llmcalc
from llmcalc.calc.memory.saved_tensors import ActivationPolicy
from llmcalc.calc.params import params
from llmcalc.calc.touched_experts import ExpertLayers, expert_layers
from llmcalc.core.errors import InputError, nearest
from llmcalc.core.ledger import entries
from llmcalc.estimate.scaling.law import Conditions
from llmcalc.inputs.gpus import accelerators
from llmcalc.inputs.laws import laws


def test_equal_mixtures_are_counted_together() -> None:
    assert expert_layers(llmcalc.load("deepseek-v3")) == [ExpertLayers(58, 256, 8)]
    assert expert_layers(llmcalc.load("gpt3")) == []


def test_memory_is_read_as_the_vendor_prints_it() -> None:
    found = set()
    for one in accelerators().values():
        size, unit = one.memory_text.split(",")[0].split()
        assert one.memory_bytes == int(size) * {"GB": 10**9, "GiB": 2**30}[unit], one.name
        assert one.memory_text.endswith({"GB": "10^9 bytes per GB (lower bound)", "GiB": "2^30 bytes per GiB"}[unit])
        found.add(unit)
    assert "GB" in found


def test_the_root_of_a_tree_is_at_depth_0() -> None:
    tree = params(llmcalc.load("gpt3")).tree
    depths = [depth for depth, _ in tree.walk()]
    assert depths[:2] == [0, 1]
    assert all(after - before <= 1 for before, after in itertools.pairwise(depths))


@pytest.mark.parametrize("law", ["hoffmann-3", "kaplan"])
def test_a_budget_and_data_leave_one_size(law: str) -> None:
    point = llmcalc.scale(compute=6e21, tokens=1e11, laws=[law]).points[0]
    assert point.parameters == pytest.approx(1e10)


def test_three_names_are_suggested() -> None:
    assert len(nearest("gpt1", ["gpt2", "gpt3", "gpt4", "gpt5", "gpt6"])) == 3


def test_a_cache_of_chunks_keeps_what_its_layers_read() -> None:
    """Reformer computes keys and values of earlier tokens again: its cache has their hidden states alone."""
    layers = [entry.layer for entry in entries(llmcalc.load({"model_type": "reformer", "is_decoder": True}))]
    chunked = [layer for layer in layers if layer.kind() == "chunked_attention"]
    assert chunked
    for layer in chunked:
        assert [(state.name, state.axes) for state in layer.declare().states] == [("states", ("b", "t", "d"))]


@pytest.mark.parametrize("name", ["routed", "sparse", "granular", "joint"])
def test_laws_of_experts_ask_for_their_number(name: str) -> None:
    found = [one for one in laws().values() if one.form == name]
    assert found
    for one in found:
        with pytest.raises(InputError, match="applies only to mixture-of-experts models"):
            one.of(Conditions())


def test_training_is_in_half_precision_unless_told() -> None:
    assert (ActivationPolicy().bytes, ActivationPolicy().gradient_bytes) == (2, 2)


def test_results_as_plain_data_have_the_names_of_their_attributes() -> None:
    found = llmcalc.state(llmcalc.load("gpt3"), batch=2, seq=5).to_dict()
    assert found.keys() == {"elements", "bytes", "closed_form", "evidence"}
    assert found["elements"] == 2 * 5 * 2 * 96 * 12288


def test_an_accelerator_has_whole_numbers_of_bytes_a_second() -> None:
    assert accelerators()["h100-sxm"].bandwidth == 3_350_000_000_000

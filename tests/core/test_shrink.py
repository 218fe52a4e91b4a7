"""Small architectures keep the structure of the large ones."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.core.layer import Layer
from llmcalc.core.ledger import entries
from llmcalc.core.shrink import SEQ

MODELS = ["gpt3", "llama3", "gemma3-27b", "deepseek-v3", "jamba", "t5", "albert", "llama4", "nemotron-h", "qwen3-next"]


@pytest.mark.parametrize("model", MODELS)
def test_kinds_ties_and_switches_are_kept(model: str) -> None:
    large = llmcalc.load(model)
    small = large.shrink()

    def switches(architecture: llmcalc.Architecture) -> set[str]:
        return {
            f"{entry.layer.kind()}.{name}={value}"
            for entry in entries(architecture)
            for name, value in vars(entry.layer).items()
            if isinstance(value, (bool, str)) or value is None
        }

    assert switches(small) == switches(large)
    assert llmcalc.params(small).total < 10**6


def test_ratios_and_order_are_kept() -> None:
    small = llmcalc.load("deepseek-v3").shrink()
    names = [run.block.name for run in small.stacks[0].runs]
    assert names == [run.block.name for run in llmcalc.load("deepseek-v3").stacks[0].runs]
    moe = next(entry.layer for entry in entries(small) if entry.layer.kind() == "moe")
    assert moe.n_experts % moe.n_groups == 0
    assert moe.top_k < moe.n_experts
    assert moe.top_groups < moe.n_groups


def test_a_window_is_shorter_than_the_test() -> None:
    layers = [
        entry.layer for entry in entries(llmcalc.load("gemma3-27b").shrink()) if entry.layer.kind() == "attention"
    ]
    windows = {layer.window for layer in layers}
    assert None in windows
    assert all(window < SEQ for window in windows if window)


def test_sizes_are_distinct() -> None:
    layer = next(entry.layer for entry in entries(llmcalc.load("llama3").shrink()) if entry.layer.kind() == "attention")
    sizes = [layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head]
    assert len(set(sizes)) == len(sizes)


def test_a_large_model_and_its_smaller_sister_shrink_alike() -> None:
    assert llmcalc.load("llama3-8b").shrink().stacks == llmcalc.load("llama3-70b").shrink().stacks


def layers_by_place(architecture: llmcalc.Architecture) -> dict[tuple[str, ...], Layer]:
    found = {}
    for entry in entries(architecture):
        block = "" if entry.run is None else entry.stack.runs[entry.run].block.name
        found[entry.stack.name, entry.section, block, entry.sublayer or "", entry.name] = entry.layer
    return found


@pytest.mark.parametrize("model", [*MODELS, "switch", "mixtral", "deepseek-v4", "kimi-linear", "hyena", "pegasus"])
def test_what_there_is_one_of_stays_one_and_the_rest_is_small(model: str) -> None:
    architecture = llmcalc.load(model)
    large, small = layers_by_place(architecture), layers_by_place(architecture.shrink())
    assert large.keys() == small.keys()
    for place, layer in large.items():
        for name, before in vars(layer).items():
            if type(before) is int and (name != "temperature_length" or layer.temperature):
                after = getattr(small[place], name)
                assert type(after) is int, (place, name)
                assert (before <= 1) == (after <= 1), (place, name, before, after)
                assert 0 <= after < 400, (place, name, before, after)

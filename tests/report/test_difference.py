"""Differences: none between equal architectures, and some for every change of any field."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

import llmcalc
from llmcalc.core.architecture import Architecture, Block, Run
from llmcalc.core.errors import InputError
from llmcalc.core.record import fields
from llmcalc.importers.hf import families
from llmcalc.schema import architecture_diff
from llmcalc.schema.architecture_diff import differences

BASE = {"model_type": "gemma2", "num_hidden_layers": 5, "hidden_size": 40, "head_dim": 22, "vocab_size": 101}


def found(one: Any, other: Any) -> dict[tuple[str, str], tuple[str, str]]:
    entries = differences(llmcalc.load(one), llmcalc.load(other))
    return {(entry.part, entry.what): (entry.first, entry.second) for entry in entries}


def every_family() -> list[Architecture]:
    models = []
    for model_type in families.names():
        try:
            models.append(llmcalc.load({"model_type": model_type}))
        except InputError:  # a family whose defaults alone make no model
            continue
    return models


def test_no_family_differs_from_itself() -> None:
    for model in every_family():
        assert differences(model, model) == [], model.name


@pytest.mark.parametrize(
    "field", ["frozen", "unused", "reversible", "replaces_placeholder_tokens", "patch", "extra_patches", "tokens"]
)
def test_what_is_said_of_a_stack_is_seen(field: str) -> None:
    architecture = llmcalc.load("gpt2")
    stack = architecture.stacks[0]
    changed = {"tokens": "ceil(a, 2)", "patch": 4, "extra_patches": 3}.get(field, True)
    other = replace(architecture, stacks=(replace(stack, **{field: changed}),))
    assert [entry.what for entry in differences(architecture, other)] == [field]


def test_families_that_differ_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture_diff, "IMPLEMENTATION", "-")  # some differ in nothing else
    models = every_family()
    for one, other in pairwise(models):
        assert bool(differences(one, other)) == ((one.stacks, one.extras) != (other.stacks, other.extras))


@pytest.mark.parametrize("model", ["gpt2", "t5-small", "mixtral", "mamba2", "deepseek-v3", "gemma3"])
def test_every_changed_field_is_seen(model: str) -> None:
    """Each size of each layer, changed alone, is a difference."""
    architecture = llmcalc.load(model)
    stack = architecture.stacks[0]
    for number, run in enumerate(stack.runs[:2]):
        for place, sublayer in enumerate(run.block.sublayers):
            branch = sublayer.branches[0]
            for field in fields(branch.layer):
                value = getattr(branch.layer, field.name)
                try:
                    changed = replace(branch.layer, **{field.name: not value if type(value) is bool else value * 2})
                except (InputError, TypeError):
                    continue
                if changed == branch.layer:
                    continue
                parts = list(run.block.sublayers)
                parts[place] = replace(sublayer, branches=(replace(branch, layer=changed), *sublayer.branches[1:]))
                runs = list(stack.runs)
                runs[number] = Run(Block(run.block.name, tuple(parts)), run.count, run.shared)
                other = replace(architecture, stacks=(replace(stack, runs=tuple(runs)), *architecture.stacks[1:]))
                assert differences(architecture, other), (model, sublayer.name, field.name)


def test_what_blocks_have_alike_is_said_once() -> None:
    assert found(BASE, {**BASE, "intermediate_size": 53})[("mlp", "d_ff")] == ("9216", "53")
    assert found(BASE, {**BASE, "sliding_window": 7})[("local: attention", "window")] == ("4096", "7")


def test_what_follows_from_the_width_is_not_repeated() -> None:
    assert list(found(BASE, {**BASE, "hidden_size": 48, "query_pre_attn_scalar": 256})) == [
        ("decoder", "d_model"), ("token", "scale"),
    ]  # fmt: skip


def test_the_order_of_blocks() -> None:
    other = {**BASE, "layer_types": ["full_attention"] * 3 + ["sliding_attention"] * 2}
    assert found(BASE, other)[("decoder", "order")] == ("cycle of local, global", "global * 3, local * 2")


def test_a_stack_that_only_one_has() -> None:
    entries = found("bert", "t5-small")
    assert entries[("decoder", "stack")] == ("–", "6 layers, d_model 512")
    assert ("encoder attention", "n_heads") in entries

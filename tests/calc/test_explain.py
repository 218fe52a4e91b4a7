"""Explanations: totals are sums of their children, and printed formulas evaluate to their value."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.explain import flops_tree, memory_tree, state_tree
from llmcalc.calc.memory.timeline import Moment
from llmcalc.core.amount import Product, Sum, scaled
from llmcalc.core.tree import Node, derivation

MODELS = [
    "gpt3", "t5-small", "mixtral-8x7b", "deepseek-v3", "jamba", "mamba2-130m", "gpt-oss-20b", "hyena-125m",
    "rwkv4-169m", "qwen3-next",
]  # fmt: skip


def check(node: Node, formulas: bool) -> None:
    for _, part in node.walk():
        if part.children:
            assert part.value == sum(child.value for child in part.children)
        elif formulas:
            names, values = part.formula.split("·"), [int(value) for value in part.substituted.split("·")]
            assert prod(values) == part.value
            assert len(names) == len(values)
            assert all(name == str(value) for name, value in zip(names, values, strict=True) if name.isdigit())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["forward", "train", "decode"])
def test_flops(name: str, mode: str) -> None:
    found = llmcalc.flops(llmcalc.load(name), mode=mode, batch=2, seq=96, context=50 if mode == "decode" else 0)
    tree = flops_tree(found)
    check(tree, formulas=True)
    assert tree.value == found.total


def has_cache(name: str) -> bool:
    return "kv" in llmcalc.state(name).by_role


@pytest.mark.parametrize("name", MODELS)
def test_state(name: str) -> None:
    for page in (None, 16) if has_cache(name) else (None,):
        found = llmcalc.state(llmcalc.load(name), batch=2, seq=100, page=page)
        tree = state_tree(found)
        check(tree, formulas=True)
        assert tree.value == found.elements


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weights", ["bf16", "q4_k_m", "nf4-double"])
def test_memory(name: str, weights: str) -> None:
    found = llmcalc.memory(llmcalc.load(name), seq=64, weights=weights)
    tree = memory_tree(found)
    check(tree, formulas=False)
    assert tree.value == found.peak
    assert [part.value for part in tree.children[:2]] == [found.weights, found.state]


def check_every_leaf_is_derived(tree: Node) -> None:
    check(tree, formulas=False)
    bare = [node.label for _, node in tree.walk() if not node.children and node.value and not node.formula]
    assert bare == []


@pytest.mark.parametrize("name", MODELS)
def test_serving_memory_has_no_bare_number(name: str) -> None:
    cache = {"cache": "fp8"} if has_cache(name) else {}
    for settings in ({}, {**cache, "weights": "q4_k_m"}, {"mesh": llmcalc.Mesh(tp=2)}):
        found = llmcalc.memory(name, seq=64, **settings)
        tree = memory_tree(found)
        check_every_leaf_is_derived(tree)
        assert [part.value for part in tree.children] == [found.weights, found.state, found.transient]


def trees(moment: Moment) -> list[Node]:
    """The derivation of each part of a moment."""
    return [derivation(part, size, "bytes") for part, size in moment._asdict().items() if part != "phase"]


@pytest.mark.parametrize("name", ["gpt2", "llama3-8b", "mixtral-8x7b", "t5-small", "granite4-h-tiny"])
@pytest.mark.parametrize("settings", [
    {}, {"recompute": "full"}, {"recompute": "selective", "attention": "eager", "dropout": True}, {"lora_rank": 7},
    {"mesh": llmcalc.Mesh(dp=8, zero=1)}, {"mesh": llmcalc.Mesh(dp=8, zero=2)}, {"mesh": llmcalc.Mesh(dp=6, zero=3)},
    {"mesh": llmcalc.Mesh(dp=8, zero=3, ep=2), "optimizer": "adafactor"}, {"convention": "torch"},
    {"mesh": llmcalc.Mesh(dp=4, tp=2, sp=True), "gradient_buffer": True, "gradient_placeholders": True},
    {"lora_rank": 5, "weights": "nf4"},
], ids=str)  # fmt: skip
def test_training_memory_has_no_bare_number(name: str, settings: dict[str, Any]) -> None:
    found = llmcalc.memory(name, seq=96, mode="training", **settings)
    first = max(found.worst.timeline, key=lambda moment: moment.total)
    assert found.worst.largest == first
    assert trees(found.worst.largest) == trees(first)
    for moment in (found.worst.largest, *found.worst.timeline[:: len(found.worst.timeline) // 7]):
        nodes = trees(moment)
        assert sum(node.value for node in nodes) == moment.total
        for node in nodes:
            check_every_leaf_is_derived(node)
    assert memory_tree(found).value == found.peak


def test_a_pipeline_stage_explains_other_micro_batches() -> None:
    mesh = llmcalc.Mesh(pp=2, dp=2, zero=1, micro_batches=4)
    tree = memory_tree(llmcalc.memory("llama3-8b", seq=4096, mode="training", batch=3, mesh=mesh))
    check_every_leaf_is_derived(tree)
    assert any(node.label == "other micro-batches" for _, node in tree.walk())


def test_saved_tensors_are_products_of_axes() -> None:
    tree = memory_tree(llmcalc.memory("gpt2", seq=512, mode="training", batch=8))
    leaf = next(node for _, node in tree.walk() if node.label == "attention.q")
    assert leaf.formula == "batch·new_tokens·n_heads·d_head·n_bytes·12"
    assert leaf.substituted == "8·512·12·64·2·12"


def test_amounts_scale_without_losing_a_byte() -> None:
    parts = Sum(("a", 7), ("b", Sum(("c", 11), ("d", 0), ("e", 13))))
    assert (parts, scaled(parts, 3), scaled(parts, 1, 5), scaled(parts)) == (31, 93, 7, 31)
    tree = derivation("share", scaled(parts, 2, 5), "bytes")
    assert tree.value == 13 == sum(child.value for child in tree.children)
    assert [node.label for _, node in tree.walk()] == ["share", "a", "b", "c", "e"]
    assert tree.children[0].substituted == "7·2 / 5"
    quarter = derivation("shard", Product(3 * 5, (("q", 3), ("d", 20))), "bytes")
    assert (quarter.formula, quarter.substituted) == ("new_tokens·d_model / n_ranks", "3·20 / 4")


def test_equal_blocks_are_one_part() -> None:
    tree = flops_tree(llmcalc.flops(llmcalc.load("gpt-oss-20b"), seq=10))
    assert [part.label for part in tree.children] == ["local ×12", "global ×12", "outputs"]
    scores = next(part for _, part in tree.walk() if part.note.startswith("s[b h q k]=q"))
    assert scores.formula == "n_blocks·2·visible_pairs·batch·n_heads·d_head"
    assert scores.substituted == "12·2·55·1·64·64"


def test_a_run_of_two_blocks_says_so() -> None:
    tree = flops_tree(llmcalc.flops(llmcalc.load("gpt2", overrides=["n_layers=2"]), seq=10))
    assert [part.label for part in tree.children] == ["block ×2", "outputs"]
    tree = flops_tree(llmcalc.flops(llmcalc.load("gpt2", overrides=["n_layers=1"]), seq=10))
    assert [part.label for part in tree.children] == ["block", "outputs"]

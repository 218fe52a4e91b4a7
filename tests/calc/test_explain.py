"""Explanations: totals are sums of their children, and printed formulas evaluate to their value."""

from __future__ import annotations

from math import prod

import pytest

import llmcalc
from llmcalc.calc.explain import flops_tree, memory_tree, state_tree
from llmcalc.core.tree import Node

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


@pytest.mark.parametrize("name", MODELS)
def test_state(name: str) -> None:
    for page in (None, 16):
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


def test_a_training_step() -> None:
    found = llmcalc.memory(llmcalc.load("gpt2"), seq=64, mode="training")
    assert memory_tree(found).value == found.peak


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

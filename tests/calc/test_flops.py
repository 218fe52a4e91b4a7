"""FLOPs by part: breakdowns add up, and parts match published formulas."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.calc.flops import Count
from llmcalc.calc.params import params

MODELS = [
    "gpt3-small",
    "t5-small",
    "mixtral-8x7b",
    "deepseek-v3",
    "jamba",
    "mamba2-130m",
    "gpt-oss-20b",
    "bert",
    "rwkv4-169m",
]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("mode", ["forward", "train", "decode"])
def test_breakdowns_add_up(name: str, mode: str) -> None:
    model = llmcalc.load(name)
    if mode == "decode" and name == "bert":
        pytest.skip("an encoder decodes nothing")
    found = llmcalc.flops(model, mode=mode, batch=3, seq=64, context=100 if mode == "decode" else 0)
    for parts in (list(found.by_component.values()), [entry.count for entry in found.by_layer]):
        assert Count(*map(sum, zip(*parts, strict=True))) == found.count
    assert found.total == found.form(**found.values) == found.matmul + found.other
    running = [stack for stack in model.stacks if mode != "decode" or stack.role != "encoder"]
    assert sum(entry.layers for entry in found.by_layer) == sum(stack.n_layers for stack in running)


def test_the_parts_of_gpt3() -> None:
    """[narayanan2021]: of a layer 8·b·s·h² in attention, 16·b·s·h² in the MLP, 4·b·s²·h in its core; 2·b·s·h·V."""
    found = llmcalc.flops(llmcalc.load("gpt3"), batch=2, seq=2048, count="dense")
    b, s, h, layers, vocab = 2, 2048, 12288, 96, 50257
    matmul = {name: count.matmul for name, count in found.by_component.items() if count.matmul}
    assert matmul == {
        "attention": layers * 8 * b * s * h**2,
        "attention core": layers * 4 * b * s**2 * h,
        "mlp": layers * 16 * b * s * h**2,
        "head": 2 * b * s * h * vocab,
    }


def test_a_backward_pass_is_twice_and_recomputing_once_more() -> None:
    found = llmcalc.flops(llmcalc.load("gpt3"), mode="train", count="dense")
    head = found.by_component["head"].forward
    assert found.backward == 2 * found.forward
    assert found.recomputed("none") == 0
    assert found.recomputed("selective") == found.by_component["attention core"].forward
    assert found.recomputed("full") == found.forward - head


def test_routed_experts_count_what_runs() -> None:
    model = llmcalc.load("mixtral-8x7b")
    found = llmcalc.flops(model, seq=10)
    counted = params(model)
    routed = counted.by_component["routed experts"] - (counted.total - counted.active)
    assert found.by_component["routed experts"].matmul == 2 * 10 * routed
    assert found.by_component["router"].matmul == 2 * 10 * counted.by_component["router"]


def test_what_torch_counts_has_all_pairs() -> None:
    """Its masked scores are computed: a causal mask, or a window, saves nothing."""
    model = llmcalc.load("gemma3-4b")
    dense, causal = (llmcalc.flops(model, batch=3, seq=2003, attention=mask).matmul for mask in ("dense", "causal"))
    assert llmcalc.flops(model, batch=3, seq=2003, convention="torch").matmul == dense > causal

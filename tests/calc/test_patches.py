"""Stacks that run on patches of the text, frozen stacks, and unused stacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.flops import Flops
from llmcalc.core.architecture import Architecture

PATCH, PATCHER_LAYERS = 5, 3
SIZES = {"num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 13}
BLT: dict[str, Any] = {
    "model_type": "blt",
    "patch_size": PATCH,
    "encoder_hash_byte_group_vocab": 53,
    "patcher_config": {**SIZES, "hidden_size": 14, "num_hidden_layers": PATCHER_LAYERS},
    "encoder_config": {**SIZES, "hidden_size": 22, "cross_attn_all_layers": True},
    "decoder_config": {**SIZES, "hidden_size": 22, "hidden_size_global": 34},
    "global_config": {**SIZES, "hidden_size": 34},
}


def model(**changes: Any) -> Architecture:
    return llmcalc.load({**BLT, **changes})


def of_stack(result: Flops, name: str) -> Any:
    return result.of([work for work in result.works if work.entry.stack.name == name])


@pytest.mark.parametrize("seq", [1, 4, 5, 6, 23, 25])
def test_a_stack_on_patches_is_one_on_as_many_tokens(seq: int) -> None:
    inner = next(stack for stack in model().stacks if stack.patch)
    assert inner.patch == PATCH
    alone = Architecture("alone", (replace(inner, role="decoder", patch=None),))
    patches = -(-seq // PATCH)
    assert of_stack(llmcalc.flops(model(), seq=seq), inner.name) == llmcalc.flops(alone, seq=patches).count


def test_tokens_that_come_one_by_one_begin_as_many_patches_and_see_as_many_vectors() -> None:
    whole = llmcalc.flops(model(), seq=23).matmul
    steps = sum(llmcalc.flops(model(), mode="decode", seq=1, context=at).matmul for at in range(23))
    assert steps == whole


def test_a_byte_and_its_patch_see_each_other_alone() -> None:
    sparse, dense = (llmcalc.flops(model(), seq=20, attention=kind) for kind in ("causal", "dense"))
    scores, all_scores = (
        sum(result.of([work]).matmul for work in result.works if _is_between(work)) for result in (sparse, dense)
    )
    assert all_scores == scores * (20 // PATCH)


def _is_between(work: Any) -> bool:
    return work.entry.layer.kind() == "patch_attention" and "core" in work.equation.tags and work.matmul


def test_as_torch_executes_it_every_byte_is_a_patch() -> None:
    notes = " ".join(model().notes)
    assert f"patches of {PATCH} bytes" in notes
    assert "one per byte" in notes
    inner = next(stack for stack in model().stacks if stack.patch)
    alone = Architecture("alone", (replace(inner, role="decoder", patch=None),))
    executed = of_stack(llmcalc.flops(model(), seq=23, convention="torch"), inner.name)
    assert executed == llmcalc.flops(alone, seq=23 + 1, convention="torch").count


def test_a_frozen_stack_has_no_backward_pass_no_gradients_and_no_moments() -> None:
    result = llmcalc.flops(model(), seq=23, mode="train")
    patcher = of_stack(result, "patcher")
    assert patcher.forward > 0
    assert patcher.backward == 0
    assert patcher == of_stack(llmcalc.flops(model(), seq=23), "patcher")
    stacks = model().stacks
    thawed = replace(model(), stacks=tuple(replace(stack, frozen=False) for stack in stacks))
    size = llmcalc.params(Architecture("patcher", (stacks[0],))).total
    kept, all_kept = (llmcalc.memory(each, mode="training", seq=23, dtype="bf16") for each in (model(), thawed))
    assert all_kept.gradients - kept.gradients == 2 * size
    assert all_kept.weights == kept.weights
    assert all_kept.optimizer > kept.optimizer
    assert all_kept.activations > kept.activations


def test_a_stack_that_is_never_run_is_stored_and_costs_nothing_else() -> None:
    unused, asked = model(patching_mode="static"), model()
    assert llmcalc.params(unused).total == llmcalc.params(asked).total
    assert of_stack(llmcalc.flops(unused, seq=23), "patcher").total == 0
    state, of_asked = (llmcalc.state(each, seq=23).elements for each in (unused, asked))
    kept_by_the_patcher = 2 * 23 * 14 * PATCHER_LAYERS  # keys and values, in a window longer than the text
    assert of_asked > kept_by_the_patcher
    assert unused.stacks[0].unused
    assert state != of_asked


def test_what_a_stack_says_of_itself_is_read_again() -> None:
    from llmcalc.schema.describe import describe

    found = describe(model(patching_mode="static"))["architecture"]["stacks"]
    assert found["patcher"]["frozen"] is found["patcher"]["unused"] is True
    assert "patch" not in found["patcher"]
    assert found["global_transformer"]["patch"] == 1
    assert llmcalc.load(describe(model())).stacks == model().stacks


@pytest.mark.parametrize(
    ("key", "value"), [("patch", 0), ("patch", "four"), ("extra_patches", -1), ("frozen", 1), ("role", "aside")]
)
def test_a_stack_says_nothing_impossible(key: str, value: Any) -> None:
    from llmcalc.core.errors import InputError
    from llmcalc.schema.describe import describe

    data = describe(model())
    data["architecture"]["stacks"]["global_transformer"][key] = value
    with pytest.raises(InputError, match=key):
        llmcalc.load(data)

"""Byte Latent Transformers: configs as they are published, and what their class does with odd ones."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError

PART: dict[str, Any] = {"num_attention_heads": 2, "num_hidden_layers": 3, "intermediate_size": 13, "norm_eps": 1e-5}
PART |= {"rope_theta": 10000.0, "dropout": 0.0, "max_position_embeddings": 64}
LOCAL = {
    **PART,
    "cross_attn_k": 2,
    "hidden_size": 22,
    "hidden_size_global": 34,
    "rope_scaling": {"rope_type": "default"},
}
PUBLISHED: dict[str, Any] = {
    "model_type": "blt",
    "patch_in_forward": True,
    "realtime_patching": True,
    "patching_mode": "entropy",
    "patch_size": 6,
    "patching_threshold": 1.3,
    "patching_threshold_add": 0.0,
    "patching_device": "cuda",
    "monotonicity": False,
    "pm_size": 0,
    "encoder_hash_byte_group_vocab": 53,
    "patcher_config": {**PART, "hidden_size": 14, "attn_impl": "sdpa", "attn_bias_type": "local_block_causal"},
    "encoder_config": {**LOCAL, "pm_size": 0, "_attn_implementation": "sdpa"},
    "decoder_config": {**LOCAL, "cross_attn_all_layers": True},
    "global_config": {**PART, "hidden_size": 34},
}


def total(**changes: Any) -> int:
    return llmcalc.params(llmcalc.load({**PUBLISHED, **changes})).total


def test_a_config_as_published_is_read() -> None:
    names = [stack.name for stack in llmcalc.load(PUBLISHED).stacks]
    assert names == ["patcher", "local_encoder", "global_transformer", "local_decoder"]


def test_without_a_patcher_every_byte_is_a_patch() -> None:
    architecture = llmcalc.load({**PUBLISHED, "patch_in_forward": False})
    assert [stack.name for stack in architecture.stacks] == ["local_encoder", "global_transformer", "local_decoder"]
    assert {stack.patch for stack in architecture.stacks} == {None, 1}
    assert any("every byte is a patch" in note for note in architecture.notes)


def test_a_longest_patch_bounds_their_length() -> None:
    patches = {stack.patch for stack in llmcalc.load({**PUBLISHED, "max_patch_length": 4}).stacks}
    assert patches == {None, 4}


def test_each_length_and_each_function_has_a_table() -> None:
    one = total(encoder_hash_byte_group_size=[3])
    assert total(encoder_hash_byte_group_size=[3, 5]) - one == 53 * 22
    assert total(encoder_hash_byte_group_size=[3, 5], encoder_hash_byte_group_nb_functions=2) - one == 3 * 53 * 22


def test_widths_that_do_not_fit_are_counted_and_said() -> None:
    odd = {**PUBLISHED, "encoder_config": {**PUBLISHED["encoder_config"], "hidden_size": 26}}
    assert any("are inconsistent" in note for note in llmcalc.load(odd).notes)
    assert not any("are inconsistent" in note for note in llmcalc.load(PUBLISHED).notes)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder_hash_byte_group_size", [3, "five"]),
        ("encoder_hash_byte_group_size", [0]),
        ("patcher_config", 7),
        ("patcher_config", {"head_dim": 5}),
        ("global_config", {"no_such_size": 512}),
        ("patch_size", -1),
    ],
)
def test_a_value_that_no_such_model_has_is_an_error(key: str, value: Any) -> None:
    with pytest.raises(InputError):
        llmcalc.load({**PUBLISHED, key: value})


def test_it_is_run() -> None:
    assert llmcalc.verify(llmcalc.load(PUBLISHED)).ok

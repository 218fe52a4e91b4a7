"""Composite configs: the language model is found at any depth, and other parts are named."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.importers.hf import families
from llmcalc.importers.hf.composite_configs import language_model, other_parts, text_models

SIZES = {
    "hidden_size": 44, "num_hidden_layers": 3, "intermediate_size": 53, "num_attention_heads": 4, "vocab_size": 101,
    "num_key_value_heads": 2,
}  # fmt: skip
VISION = {"hidden_size": 7, "depth": 3}


def test_every_usual_language_model_is_a_family() -> None:
    assert set(text_models().values()) <= set(families.names())
    assert not set(text_models()) & set(families.names())


@pytest.mark.parametrize("key", ["text_config", "llm_config", "language_config", "thinker_config"])
def test_nested_config(key: str) -> None:
    whole = {"model_type": "no_such_whole", key: {"model_type": "qwen3", **SIZES}, "audio_config": VISION}
    found = llmcalc.load(whole)
    assert found.stacks == llmcalc.load({"model_type": "qwen3", **SIZES}).stacks
    assert found.notes[-1].endswith("only its language model (qwen3) is counted; not counted: audio")


def test_language_model_within_a_part() -> None:
    thinker = {"text_config": {"model_type": "qwen3", **SIZES}, "vision_config": VISION, "audio_config": VISION}
    whole = {"model_type": "omni", "thinker_config": thinker, "talker_config": VISION, "quantization_config": {"a": 1}}
    assert (language_model(whole) or {})["model_type"] == "qwen3"
    assert other_parts(whole) == ["talker", "vision", "audio"]


def test_a_part_without_a_type_has_its_class_default() -> None:
    found = llmcalc.load({"model_type": "perception_lm", "text_config": SIZES})
    assert found.family == "llama"


def test_language_model_keys_at_the_top_level() -> None:
    whole = {"model_type": "fast_vlm", **SIZES, "vision_config": VISION, "vision_start_token_id": 3}
    found = llmcalc.load(whole)
    assert found.stacks == llmcalc.load({"model_type": "qwen2", **SIZES}).stacks
    assert "not counted: vision" in found.notes[-1]


@pytest.mark.parametrize("model_type", ["qwen2_vl", "qwen2_5_vl"])
def test_language_model_keys_at_the_top_level_with_an_encoder(model_type: str) -> None:
    whole = {"model_type": model_type, **SIZES, "vision_config": {"depth": 3}, "vision_start_token_id": 3}
    found = llmcalc.load(whole)
    assert found.main == llmcalc.load({"model_type": f"{model_type}_text", **SIZES, "tie_word_embeddings": False}).main
    assert [stack.name for stack in found.stacks] == ["decoder", "vision"]


def test_unknown_encoders_are_named() -> None:
    parts = {"text_config": {"model_type": "llama", **SIZES}, "vision_config": {"model_type": "eva", **VISION}}
    found = llmcalc.load({"model_type": "llava", **parts})
    assert found.stacks == llmcalc.load({"model_type": "llama", **SIZES, "tie_word_embeddings": False}).stacks
    assert "eva" in found.notes[-1]
    assert found.notes[-1].endswith("vision encoder 'eva' is not counted")


def test_top_level_keys_are_read_strictly() -> None:
    with pytest.raises(llmcalc.InputError, match="unknown config key 'n_gates'"):
        llmcalc.load({"model_type": "qwen2_vl", **SIZES, "n_gates": 3})


@pytest.mark.parametrize("whole", [{"model_type": "vibevoice"}, {"model_type": "vibevoice", "text_config": None}])
def test_a_missing_language_model_is_an_error(whole: dict[str, Any]) -> None:
    with pytest.raises(llmcalc.InputError, match="a vibevoice config must have a text_config"):
        llmcalc.load(whole)


@pytest.mark.parametrize(
    ("config", "runs"),
    [
        ({"model_type": "dory", "num_hidden_layers": 9, "n_input_layers": 2, "n_output_layers": 3}, 2 + 4 * 2 + 3),
        ({"model_type": "hrm_text", "num_hidden_layers": 3, "H_cycles": 2, "L_cycles": 5}, 2 * (5 + 1) * 3),
    ],
)
def test_a_loop_stores_its_layers_once(config: dict[str, Any], runs: int) -> None:
    once = (
        {**config, "n_recurrent_loops": 1} if "n_input_layers" in config else {**config, "H_cycles": 1, "L_cycles": 1}
    )
    model, single = llmcalc.load(config), llmcalc.load(once)
    assert model.main.n_layers == runs
    assert llmcalc.params(model).total == llmcalc.params(single).total
    assert llmcalc.flops(model, seq=7).matmul > llmcalc.flops(single, seq=7).matmul
    assert llmcalc.state(model, seq=7).elements > llmcalc.state(single, seq=7).elements


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "dory", "n_recurrent_loops": 10**9},
        {"model_type": "hrm_text", "H_cycles": 10**6},
        {"model_type": "hrm_text", "L_cycles": 10**15},
    ],
)
def test_an_endless_loop_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(llmcalc.InputError, match="times in total"):
        llmcalc.load(config)

"""Presets know the formats of their published checkpoints."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.checkpoint.published_weights import PublishedWeights
from llmcalc.inputs.number_formats import published_weights
from llmcalc.report.memory import weights_line

GIB, GB = 2**30, 10**9
PUBLISHED = {  # sizes of published checkpoints
    "gpt-oss-120b": 60.8 * GIB,  # openai2025 Table 1
    "gpt-oss-20b": 12.8 * GIB,  # openai2025 Table 1
    "kimi-k2-thinking": 594 * GB,  # size of the repository moonshotai/Kimi-K2-Thinking
}
LINES = {
    "gpt-oss-20b": "weights: mxfp4 experts, bf16 rest, as published",
    "deepseek-r1": "weights: fp8 128x128 matrices, bf16 rest, as published",
    "deepseek-v4-flash": "weights: fp4 experts, fp8 128x128 matrices, bf16 rest, as published",
    "kimi-k2-instruct": "weights: fp8 128x128 matrices, bf16 rest, as published",
    "kimi-k2-thinking": "weights: compressed int4 g32 experts, bf16 rest, as published",
    "llama3-8b": "",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_checkpoints_have_their_published_size(name: str) -> None:
    assert llmcalc.memory(name, seq=7).weights == pytest.approx(PUBLISHED[name], rel=0.03)


@pytest.mark.parametrize("name", LINES)
def test_the_screen_names_the_formats(name: str) -> None:
    assert weights_line(llmcalc.memory(name, seq=7)) == LINES[name]


def test_published_formats_change_neither_parameters_nor_explicit_formats() -> None:
    assert llmcalc.params("gpt-oss-20b").total == 20_914_757_184
    assert llmcalc.memory("gpt-oss-20b", seq=7, weights="bf16").weights == 2 * 20_914_757_184
    published = llmcalc.memory("gpt-oss-20b", seq=7)
    assert published.weights == llmcalc.memory("gpt-oss-20b", seq=7, weights="checkpoint").weights


def test_a_derived_preset_does_not_inherit_the_formats_of_its_base() -> None:
    preset = {"name": "own", "base": "gpt-oss", "sizes": {"20b": {"n_layers": 6, "n_experts": 32}}, "default": "20b"}
    assert llmcalc.memory(preset, seq=7).weights == 2 * llmcalc.params(preset).total


def test_an_exported_preset_keeps_the_formats_of_a_config() -> None:
    from llmcalc.schema.export import preset_text
    from llmcalc.schema.preset import load_text

    method = {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head", "gate"]}
    config = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 640, "num_attention_heads": 2,
              "num_hidden_layers": 3, "vocab_size": 101, "torch_dtype": "float16",
              "quantization_config": method}  # fmt: skip
    model = llmcalc.load(config)
    again = load_text(preset_text(model, "own"), "own.yaml")
    assert again.inputs["quantization"] == method
    assert llmcalc.memory(again, seq=7).weights == llmcalc.memory(model, seq=7).weights
    assert "checkpoint" not in preset_text(llmcalc.load("gpt2"), "own")


def test_formats_of_a_size_override_those_of_all_sizes() -> None:
    def formats(method: str) -> dict[str, object]:
        return {"source": "own", "dtype": "float16", "quantization_config": {"quant_method": method}}

    preset = {
        "name": "own", "base": "gpt-oss", "default": "20b", "sizes": {"20b": {"n_layers": 6, "n_experts": 32}},
        "checkpoint": {"all": formats("fp8"), "20b": formats("mxfp4")},
    }  # fmt: skip
    assert {entry.format.name for entry in llmcalc.memory(preset, seq=7).stored} == {"mxfp4", "fp16"}
    preset["checkpoint"] = {"30b": formats("mxfp4")}
    with pytest.raises(llmcalc.InputError, match="unknown size '30b'"):
        llmcalc.load(preset)


@pytest.mark.parametrize("name", ["deepseek-v4-flash", "gpt-oss-20b", "kimi-k2-thinking"])
def test_the_tensors_of_equal_blocks_have_as_many_bits_as_all_tensors_listed_one_by_one(name: str) -> None:
    model = llmcalc.load(name)
    weights = published_weights(model)
    assert isinstance(weights, PublishedWeights)
    assert sum(entry.bits for entry in weights.stored(model)) == sum(bits for *_, bits in weights.placed(model))


def test_a_method_may_leave_out_one_of_equal_blocks() -> None:
    def weights(*left: str) -> int:
        method = {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head", *left]}
        config = {"model_type": "llama", "hidden_size": 256, "intermediate_size": 640, "num_attention_heads": 2,
                  "num_hidden_layers": 13, "vocab_size": 101, "torch_dtype": "bfloat16",
                  "quantization_config": method}  # fmt: skip
        return int(llmcalc.memory(config, seq=7).weights)

    matrix, scales = 256 * 640, 2 * 5 * 4
    assert weights("model.layers.7.mlp.up_proj") - weights() == matrix - scales
    both = weights("model.layers.7.mlp.up_proj", "model.layers.11.mlp.up_proj")
    assert both - weights() == 2 * (matrix - scales)


def test_a_repository_of_awq_weights_in_int4_has_their_size() -> None:
    found = llmcalc.memory("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4")
    assert found.weights == llmcalc.memory("llama3.1-70b", weights="awq-int4-g128").weights

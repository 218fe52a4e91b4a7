"""Vision-language models: parameters and stored names of small configs, and invalid configs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import llmcalc

from .vision_language_cases import CASES, PATCHES, config

# counted from transformers' classes of these small configs
TOTALS = {
    "glm4v": 61_128, "glm_ocr": 75_848, "glm4v_moe": 75_144, "ernie4_5_vl_moe": 414_084, "paddleocr_vl": 62_108,
    "video_llama_3": 54_268, "exaone4_5": 67_088, "ovis2": 6_125_304, "minimax_m3_vl": 2_394_700,
    "cosmos3_edge": 53_768, "cosmos3_omni": 80_700, "qianfan_ocr": 58_828, "lighton_ocr": 58_808, "aya_vision": 57_740,
    "cohere2_vision": 57_080, "lfm2_vl": 107_096, "deepseek_vl": 55_548, "got_ocr2": 82_292, "idefics2": 102_044,
    "aria": 123_180, "molmo2": 64_164, "minicpmv4_6": 1_456_652, "minicpm_ocr": 1_456_652, "granite_docling": 97_436,
    "lfm3_vl": 58_068, "blip-2": 82_160, "unlimited_ocr": 79_268, "muse_glimmer": 73_756,
}  # fmt: skip


def test_every_case_has_a_total() -> None:
    assert set(TOTALS) == set(CASES)


@pytest.mark.parametrize("model_type", CASES)
def test_parameters_are_those_of_the_class(model_type: str) -> None:
    assert llmcalc.params(llmcalc.load(config(model_type))).total == TOTALS[model_type]


@pytest.mark.parametrize("model_type", CASES)
def test_every_tensor_has_a_stored_name(model_type: str) -> None:
    found = llmcalc.params(llmcalc.load(config(model_type)))
    stored = found.tensors(layout="transformers")
    towers = [name for name, _ in stored if "language_model" not in name and "text_model" not in name]
    assert len({name for name, _ in stored}) == len(stored)
    assert not [name for name in towers if name.startswith(("vision.", "sam.", "qformer.w", "resampler."))]


@pytest.mark.parametrize("model_type", CASES)
def test_an_encoder_costs_nothing_without_an_image(model_type: str) -> None:
    architecture = llmcalc.load(config(model_type))
    blind, seen = (llmcalc.flops(architecture, seq=8, patches=patches).total for patches in (0, PATCHES))
    language = tuple(stack for stack in architecture.stacks if stack.role != "tower")
    assert seen > blind == llmcalc.flops(replace(architecture, stacks=language), seq=8).total


WRONG = [
    ({"model_type": "qwen3_vl", "audio_config": {"hidden_size": 8}}, "audio_config is not supported"),
    ({"model_type": "glm4v", "vision_config": {"depth": 0}}, "num_hidden_layers must be .*, not 0"),
    ({"model_type": "minicpmv4_6", "downsample_mode": "8x"}, "downsample_mode must be .*, not '8x'"),
    ({"model_type": "minicpmv4_6", "merge_kernel_size": [2]}, "merge_kernel_size must have 2 entries, not 1"),
    ({"model_type": "got_ocr2", "vision_config": {"patch_size": 14, "n_gates": 3}}, "unknown config key 'n_gates'"),
    ({"model_type": "got_ocr2", "vision_config": {"window_size": 90}}, "window \\(90\\) must not exceed grid"),
    ({"model_type": "unlimited_ocr", "vision_config": {"sam_config": {"downsample_channels": [3]}}}, "have 2 entries"),
    ({"model_type": "aria", "projector_patch_to_query_dict": [3]}, "projector_patch_to_query_dict must be an object"),
    ({"model_type": "muse_glimmer", "vision_config": {"layer_types": ["window_attention"]}}, "must have one entry"),
    ({"model_type": "blip-2", "qformer_config": {"cross_attention_frequency": 0}}, "cross_attention_frequency must be"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_invalid_configs_are_errors(data: dict[str, Any], message: str) -> None:
    with pytest.raises(llmcalc.InputError, match=message):
        llmcalc.load({"text_config": {}, "vision_config": {}, **data})


def test_older_keys_of_an_encoder() -> None:
    today = {"model_type": "step3p7", "text_config": {}}
    old = llmcalc.load({**today, "vision_config": {"width": 48, "layers": 3, "heads": 4, "ls_init_value": 0.1}})
    new = llmcalc.load(
        {**today, "vision_config": {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}}
    )
    assert old == new


def test_a_file_with_more_layers_than_its_checkpoint() -> None:
    """Molmo 2's first files have another key for the encoder, and count layers after the last one that is used."""
    parts: dict[str, Any] = {"model_type": "molmo2", "text_config": {}}
    old = {**parts, "vit_config": {"num_hidden_layers": 27}, "adapter_config": {"vit_layers": [-3, -9]}}
    adapter = {"vision_feature_layer": [24, 18]}
    new = {**parts, "vision_config": {"num_hidden_layers": 25}, "adapter_config": adapter}
    assert llmcalc.load(old) == llmcalc.load(new)

"""Published configs of vision-language models, and the parameters of their checkpoints."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc

SIGLIP = {"hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27}
QWEN = {"depth": 32, "num_heads": 16, "in_chans": 3, "patch_size": 14, "spatial_merge_size": 2}
QWEN |= {"spatial_patch_size": 14, "temporal_patch_size": 2}
TEXT_7B = {
    "hidden_size": 3584, "intermediate_size": 18944, "max_window_layers": 28, "num_attention_heads": 28,
    "num_hidden_layers": 28, "num_key_value_heads": 4, "tie_word_embeddings": False, "vocab_size": 152064,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vision_token_id": 151654,
}  # fmt: skip
LLAMA_32 = {
    "model_type": "mllama_text_model", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
    "num_hidden_layers": 40, "num_key_value_heads": 8, "vocab_size": 128256, "rms_norm_eps": 1e-05,
    "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38], "tie_word_embeddings": False,
}  # fmt: skip
CONFIGS: dict[str, tuple[dict[str, Any], int]] = {
    "gemma-3-4b-it": (
        {
            "model_type": "gemma3", "mm_tokens_per_image": 256, "boi_token_index": 255999, "eoi_token_index": 256000,
            "text_config": {
                "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
            },
            "vision_config": {
                **SIGLIP, "image_size": 896, "model_type": "siglip_vision_model", "patch_size": 14,
                "vision_use_head": False,
            },
        },
        4_300_079_472,
    ),
    "gemma-4-12B-it": (
        {
            "model_type": "gemma4_unified",
            "audio_config": {"audio_embed_dim": 640, "audio_samples_per_token": 640, "hidden_size": 640},
            "text_config": {
                "attention_k_eq_v": True, "global_head_dim": 512, "head_dim": 256, "hidden_size": 3840,
                "intermediate_size": 15360, "model_type": "gemma4_unified_text", "num_attention_heads": 16,
                "num_global_key_value_heads": 1, "num_hidden_layers": 48, "num_key_value_heads": 8,
            },
            "vision_config": {
                "mm_embed_dim": 3840, "mm_posemb_size": 1120, "model_patch_size": 48, "num_soft_tokens": 280,
                "output_proj_dims": 3840, "patch_size": 16, "pooling_kernel_size": 3,
            },
        },
        11_959_730_176,
    ),
    "llava-1.5-7b-hf": (
        {
            "model_type": "llava", "ignore_index": -100, "pad_token_id": 32001, "vocab_size": 32064,
            "text_config": {
                "architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096, "model_type": "llama",
                "vocab_size": 32064,
            },
            "vision_config": {
                "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
                "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768,
                "vocab_size": 32000,
            },
            "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
        },
        7_063_427_072,
    ),
    "paligemma-3b-pt-224": (
        {
            "model_type": "paligemma", "hidden_size": 2048, "projection_dim": 2048, "vocab_size": 257216,
            "text_config": {
                "hidden_size": 2048, "intermediate_size": 16384, "model_type": "gemma", "num_attention_heads": 8,
                "num_hidden_layers": 18, "num_image_tokens": 256, "num_key_value_heads": 1, "vocab_size": 257216,
            },
            "vision_config": {
                **SIGLIP, "model_type": "siglip_vision_model", "num_image_tokens": 256, "patch_size": 14,
                "projection_dim": 2048, "projector_hidden_act": "gelu_fast", "vision_use_head": False,
            },
        },
        2_923_466_480,
    ),
    "Qwen2-VL-7B-Instruct": (
        {
            "model_type": "qwen2_vl", **TEXT_7B,
            "vision_config": {**QWEN, "embed_dim": 1280, "mlp_ratio": 4, "hidden_size": 3584},
        },
        8_291_375_616,
    ),
    "Qwen2.5-VL-7B-Instruct": (
        {
            "model_type": "qwen2_5_vl", **TEXT_7B,
            "vision_config": {
                **QWEN, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584,
                "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
            },
        },
        8_292_166_656,
    ),
    "Mistral-Small-3.1-24B": (
        {
            "model_type": "mistral3", "image_token_index": 10, "multimodal_projector_bias": False,
            "projector_hidden_act": "gelu", "spatial_merge_size": 2, "vision_feature_layer": -1,
            "text_config": {
                "head_dim": 128, "hidden_size": 5120, "intermediate_size": 32768, "model_type": "mistral",
                "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8, "sliding_window": None,
                "vocab_size": 131072,
            },
            "vision_config": {
                "head_dim": 64, "hidden_act": "silu", "hidden_size": 1024, "image_size": 1540,
                "intermediate_size": 4096, "model_type": "pixtral", "num_attention_heads": 16, "num_channels": 3,
                "num_hidden_layers": 24, "patch_size": 14, "rope_theta": 10000.0,
            },
        },
        24_011_361_280,
    ),
    "SmolVLM-Instruct": (
        {
            "model_type": "idefics3", "image_seq_len": 81, "scale_factor": 3, "tie_word_embeddings": False,
            "text_config": {
                "head_dim": 64, "hidden_size": 2048, "intermediate_size": 8192, "is_llama_config": True,
                "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 24, "num_key_value_heads": 32,
                "perceiver_config": {"model_type": "vllama3"}, "pixel_shuffle_factor": 3, "vocab_size": 49155,
            },
            "vision_config": {
                **SIGLIP, "image_size": 384, "max_image_size": {"longest_edge": 384}, "model_type": "idefics3",
                "patch_size": 14, "size": {"longest_edge": 1920}, "use_base_siglip": False,
            },
        },
        2_246_272_880,
    ),
    "Llama-3.2-11B-Vision": (
        {
            "model_type": "mllama", "text_config": LLAMA_32,
            "vision_config": {
                "attention_heads": 16, "hidden_size": 1280, "image_size": 560, "intermediate_size": 5120,
                "intermediate_layers_indices": [3, 7, 15, 23, 30], "max_num_tiles": 4, "norm_eps": 1e-05,
                "model_type": "mllama_vision_model", "num_global_layers": 8, "num_hidden_layers": 32, "patch_size": 14,
                "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
                "vision_output_dim": 7680,
            },
        },
        10_670_220_835,
    ),
    "Llama-4-Scout-17B-16E": (
        {
            "model_type": "llama4", "boi_token_index": 200080, "eoi_token_index": 200081, "tie_word_embeddings": False,
            "text_config": {
                "attention_chunk_size": 8192, "attn_temperature_tuning": 4, "for_llm_compressor": False,
                "head_dim": 128, "hidden_size": 5120, "interleave_moe_layer_step": 1, "intermediate_size": 8192,
                "intermediate_size_mlp": 16384, "model_type": "llama4_text", "num_attention_heads": 40,
                "num_experts_per_tok": 1, "num_hidden_layers": 48, "num_key_value_heads": 8, "num_local_experts": 16,
                "tie_word_embeddings": False, "use_qk_norm": True, "vocab_size": 202048,
            },
            "vision_config": {
                "hidden_size": 1408, "image_size": 336, "intermediate_size": 5632, "model_type": "llama4_vision_model",
                "multi_modal_projector_bias": False, "num_attention_heads": 16, "num_hidden_layers": 34,
                "patch_size": 14, "pixel_shuffle_ratio": 0.5, "projector_dropout": 0.0, "projector_input_dim": 4096,
                "projector_output_dim": 4096, "rope_theta": 10000, "vision_feature_layer": -1,
                "vision_feature_select_strategy": "default", "vision_output_dim": 4096,
            },
        },
        108_641_793_536,
    ),
    "MiniCPM-V-2": (
        {
            "model_type": "minicpmv", "architectures": ["MiniCPMV"], "hidden_size": 2304, "intermediate_size": 5760,
            "num_attention_heads": 36, "num_hidden_layers": 40, "num_key_value_heads": 36, "vocab_size": 122753,
            "query_num": 64, "drop_vision_last_layer": True, "scale_depth": 1.4, "scale_emb": 12, "dim_model_base": 256,
            "max_slice_nums": 9, "mm_use_im_start_end": True, "image_size": 448, "patch_size": 14,
            "vision_encoder": "vit_so400m_patch14_siglip_384.webli",
        },
        3_434_965_792 - 64 * 2304,  # without a table of fixed positions
    ),
    "MiniCPM-V-2_6": (
        {
            "model_type": "minicpmv", "version": 2.6, "architectures": ["MiniCPMV"], "hidden_size": 3584,
            "intermediate_size": 18944, "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
            "max_position_embeddings": 512, "vocab_size": 151666, "query_num": 64, "drop_vision_last_layer": False,
            "image_size": 448, "patch_size": 14, "slice_config": {"model_type": "minicpmv", "patch_size": 14},
            "use_sliding_window": False, "sliding_window": 131072,
            "vision_config": {**SIGLIP, "image_size": 980, "model_type": "siglip", "patch_size": 14},
        },
        8_099_175_152,
    ),
    "MiniCPM-V-4": (
        {
            "model_type": "minicpmv", "version": 4.0, "architectures": ["MiniCPMV"], "hidden_size": 2560,
            "intermediate_size": 10240, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 2,
            "head_dim": 128, "vocab_size": 73448, "query_num": 64, "drop_vision_last_layer": False,
            "batch_vision_input": True, "vision_batch_size": 16, "use_image_id": True, "tie_word_embeddings": False,
            "vision_config": {**SIGLIP, "image_size": 980, "model_type": "siglip_vision_model", "patch_size": 14},
        },
        4_059_533_040,
    ),
    "Molmo-7B-D": (
        {
            "model_type": "molmo", "architectures": ["MolmoForCausalLM"], "attention_layer_norm": False,
            "embedding_size": 152064, "hidden_size": 3584, "intermediate_size": 37888, "layer_norm_type": "rms",
            "norm_after": False, "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
            "qkv_bias": True, "rope_theta": 1000000.0, "use_position_ids": True, "vocab_size": 152064,
            "weight_tying": False,
        },
        8_021_025_280,
    ),
}  # fmt: skip


ERNIE_TEXT: dict[str, Any] = {
    "hidden_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 101,
    "intermediate_size": 52, "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": [24, 16],
}  # fmt: skip
ERNIE_VISION = {"hidden_size": 24, "intermediate_size": 48, "depth": 2, "num_heads": 2, "patch_size": 4}


def test_the_head_width_of_ernie_is_that_of_its_text_config() -> None:
    """The transformers class reads ``head_dim``, although its config class does not name it."""
    config = {"model_type": "ernie4_5_vl_moe", "text_config": {**ERNIE_TEXT, "head_dim": 16}}
    config["vision_config"] = {**ERNIE_VISION, "intermediate_size": 44}
    assert llmcalc.params(llmcalc.load(config)).total == 112_448  # counted from the class


def test_ernie_in_the_format_of_its_release() -> None:
    vision = {**ERNIE_VISION, "embed_dim": 24, "mlp_ratio": 2, "model_type": "DFNRope_vision_transformer"}
    vision.pop("intermediate_size")
    own = {"moe_layer_start_index": [1, 1], "moe_layer_end_index": [2, 1], "im_patch_id": 7, "spatial_conv_size": 2}
    original = {**ERNIE_TEXT, **own, "moe_num_experts": [4, 4], "model_type": "ernie4_5_moe_vl"}
    found = llmcalc.load({**original, "vision_config": vision})
    config = {"model_type": "ernie4_5_vl_moe", "text_config": ERNIE_TEXT, "vision_config": ERNIE_VISION}
    assert found.stacks == llmcalc.load(config).stacks
    with pytest.raises(llmcalc.InputError, match="moe_num_experts must have the same value"):
        llmcalc.load({**original, "moe_num_experts": [4, 2]})


@pytest.mark.parametrize("name", CONFIGS)
def test_published(name: str) -> None:
    config, total = CONFIGS[name]
    assert llmcalc.params(llmcalc.load(config)).total == total


WRONG = [
    ({"model_type": "internvl", "downsample_ratio": 0}, "downsample_ratio must be positive, not 0.0"),
    ({"model_type": "internvl", "vision_config": {"norm_type": "batch_norm"}}, "must be one of .*, not 'batch_norm'"),
    ({"model_type": "llava", "vision_feature_select_strategy": "most"}, "must be one of default, full, not 'most'"),
    ({"model_type": "qwen2_vl", "vision_config": {"mlp_ratio": -1}}, "mlp_ratio must be positive, not -1.0"),
    ({"model_type": "step3p5", "num_hidden_layers": 5, "moe_layers_enum": "3,7"}, "must list layers from 0 to 4"),
    ({"model_type": "molmo2_text", "qk_norm_type": "other"}, "qk_norm_type must be one of qwen3, olmo, not 'other'"),
    ({"model_type": "llama4", "vision_config": {"pixel_shuffle_ratio": 0}}, "pixel_shuffle_ratio must be positive"),
    ({"model_type": "minicpmv", "vision_encoder": "vit"}, "num_hidden_layers is missing"),
    (
        {"model_type": "minicpmv", "text_config": {"num_hidden_layers": 3}, "vision_encoder": "vit"},
        "vision_encoder must be one of vit_so400m_patch14_siglip_384.webli, not 'vit'",
    ),
    (
        {"model_type": "minicpmv", "version": 2.0, "text_config": {"num_hidden_layers": 3}},
        "version must be one of 2.5, 2.6, 4.0, 4.5, not 2.0",
    ),
    ({"model_type": "minicpmo"}, "num_hidden_layers is missing"),
    ({"model_type": "molmo_text", "intermediate_size": 97}, "intermediate_size must be even, not 97"),
]  # fmt: skip


ALONE = ("step3p5", "molmo2_text", "molmo_text")  # language models without encoders


@pytest.mark.parametrize(("config", "message"), WRONG)
def test_invalid_configs_are_errors(config: dict[str, Any], message: str) -> None:
    """Each was once replaced silently by a default."""
    parts: dict[str, Any] = {} if config["model_type"] in ALONE else {"text_config": {}, "vision_config": {}}
    with pytest.raises(llmcalc.InputError, match=message):
        llmcalc.load({**parts, **config})

"""Small configs of vision-language models: language model, encoder, whole model, and form of the image."""

from __future__ import annotations

from typing import Any


def sections(*widths: int) -> dict[str, Any]:
    """Rotary positions along several axes, each for its share of a head."""
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": list(widths)}


SIDE, PATCH = 32, 4  # pixels along an image and a patch
ROWS = SIDE // PATCH
PATCHES = ROWS * ROWS
TEXT = {
    "hidden_size": 40, "intermediate_size": 52, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "vocab_size": 101,
}  # fmt: skip
ROTATED = {"rope_parameters": sections(2, 3, 3)}
EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_group": 1, "topk_group": 1}
SIZES: dict[str, Any] = {"hidden_size": 24, "intermediate_size": 44, "patch_size": PATCH, "hidden_act": "gelu"}
VIT = {**SIZES, "num_hidden_layers": 3, "num_attention_heads": 2}
IMAGE = {**VIT, "image_size": SIDE}
FILM = {**SIZES, "depth": 3, "num_heads": 2}
SAM = {key: value for key, value in IMAGE.items() if key != "intermediate_size"}
HEADLESS = {**IMAGE, "vision_use_head": False}
GLM = {**FILM, "out_hidden_size": 40, "image_size": SIDE}
DEEP = {**FILM, "out_hidden_size": 40, "num_position_embeddings": 64}
HUNYUAN = {**VIT, "max_image_size": SIDE, "out_hidden_size": 40, "text_hidden_size": 40}
# per type: keys of the language model, of the encoder and of the whole model, and the form of an image
Case = tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]
CASES: dict[str, Case] = {
    "glm4v": ({**ROTATED, "head_dim": 10}, GLM, {}, "film"),
    "glm_ocr": (ROTATED, GLM, {}, "film"),
    "glm4v_moe": ({**ROTATED, **EXPERTS, "first_k_dense_replace": 1}, GLM, {}, "film"),
    "ernie4_5_vl_moe": ({"rope_parameters": sections(3, 3, 2), "moe_intermediate_size": [24, 16]}, FILM, {}, "flat"),
    "paddleocr_vl": (ROTATED, IMAGE, {}, "squares"),
    "video_llama_3": ({"model_type": "qwen2"}, VIT, {}, "merged"),
    "exaone4_5": ({"model_type": "exaone4"}, {**FILM, "num_key_value_heads": 1, "out_hidden_size": 40,
        "window_size": 8, "fullatt_block_indexes": [1]}, {}, "film"),
    "ovis2": ({"model_type": "qwen2"}, {**IMAGE, "vocab_size": 61, "hidden_stride": 2}, {"hidden_size": 40}, "image"),
    "minimax_m3_vl": ({}, VIT, {"projector_hidden_size": 36}, "film"),
    "cosmos3_edge": (ROTATED, {**VIT, "num_patches": PATCHES}, {"projector_hidden_size": 36}, "flat"),
    "cosmos3_omni": ({"model_type": "qwen3_vl_text", **ROTATED}, {**DEEP, "deepstack_visual_indexes": [1]}, {}, "film"),
    "qianfan_ocr": (
        {"model_type": "qwen3"}, {**VIT, "image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]}, {}, "image"
    ),
    "lighton_ocr": ({"model_type": "qwen3"}, {**IMAGE, "model_type": "pixtral", "head_dim": 12}, {}, "sized"),
    "aya_vision": ({"model_type": "cohere2"}, {**HEADLESS, "model_type": "siglip_vision_model"}, {}, "image"),
    "cohere2_vision": (
        {"model_type": "cohere2"}, {**HEADLESS, "model_type": "siglip_vision_model"},
        {"alignment_intermediate_size": 36}, "image",
    ),
    "lfm2_vl": (
        {"model_type": "lfm2"},
        {**VIT, "num_patches": PATCHES, "vision_use_head": False, "model_type": "siglip2_vision_model"},
        {"projector_hidden_size": 36}, "packed",
    ),
    "deepseek_vl": ({"model_type": "llama"}, {**HEADLESS, "model_type": "siglip_vision_model"}, {}, "image"),
    "got_ocr2": (
        {"model_type": "qwen2"}, {**SAM, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 52,
        "output_channels": 20}, {}, "image",
    ),
    "idefics2": (
        {"model_type": "mistral"}, IMAGE,
        {"perceiver_config": {
            "resampler_n_latents": 3, "resampler_depth": 2, "resampler_n_heads": 4, "resampler_head_dim": 6,
            "num_key_value_heads": 2,
        }}, "images",
    ),
    "aria": (
        {"moe_num_experts": 4, "moe_topk": 2}, IMAGE, {"projector_patch_to_query_dict": {PATCHES: 5}}, "image"
    ),
    "molmo2": (
        {}, {**VIT, "image_size": [SIDE, SIDE], "num_position_embeddings": PATCHES, "head_dim": 12,
        "num_key_value_heads": 2},
        {"adapter_config": {
            "vision_feature_layer": [2, 1], "hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 6, "intermediate_size": 36, "text_hidden_size": 40,
        }}, "pooled",
    ),
    "minicpmv4_6": ({}, IMAGE, {"insert_layer_id": 1}, "strip"),
    "minicpm_ocr": ({}, IMAGE, {}, "strip"),
    "granite_docling": (
        {"pad_token_id": 1},
        {**IMAGE, "deepstack_visual_indexes": [1], "scale_factor": 4, "out_hidden_size": 40}, {}, "tiles",
    ),
    "lfm3_vl": (
        {"pad_token_id": 1},
        {"hidden_size": 24, "intermediate_size": 44, "patch_size": PATCH, "num_hidden_layers": 3,
        "num_attention_heads": 2, "num_key_value_heads": 1, "layer_types": ["conv", "full_attention", "conv"]},
        {"projector_hidden_size": 36}, "film",
    ),
    "blip-2": (
        {"model_type": "llama"}, IMAGE,
        {"num_query_tokens": 3, "qformer_config": {
            "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 36, "num_hidden_layers": 3,
            "encoder_hidden_size": 24,
        }}, "image",
    ),
    "unlimited_ocr": (
        {**EXPERTS, "mlp_layer_types": ["dense", "sparse"], "n_shared_experts": 1, "num_key_value_heads": 4,
        "head_dim": 10},
        {"sam_config": {**SAM, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 52, "output_channels": 12,
        "downsample_channels": [16, 20]},
        "encoder_config": {**IMAGE, "hidden_size": 20, "image_size": 2 * PATCH}}, {}, "image",
    ),
    "muse_glimmer": (
        {}, {**VIT, "pos_emb_height": 4, "pos_emb_width": 4, "num_hidden_layers": 5},
        {"projector_hidden_size": 36, "out_hidden_size": 96}, "pairs",
    ),
}  # fmt: skip


def config(model_type: str) -> dict[str, Any]:
    """The config of a case."""
    text, vision, more, _ = CASES[model_type]
    parts = {"text_config": {**TEXT, **text}, "vision_config": vision}
    return {"model_type": model_type, "tie_word_embeddings": False, **parts, **more}

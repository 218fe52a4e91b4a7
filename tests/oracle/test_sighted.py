"""FLOPs of the towers that are rows of a table, and of what leads from them to the language model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import llmcalc

from . import reference
from .perturb import sections

pytestmark = pytest.mark.filterwarnings("ignore")

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
HEADLESS = {**IMAGE, "vision_use_head": False}
GLM = {**FILM, "out_hidden_size": 40, "image_size": SIDE}
DEEP = {**FILM, "out_hidden_size": 40, "num_position_embeddings": 64}
HUNYUAN = {**VIT, "max_image_size": SIDE, "out_hidden_size": 40, "text_hidden_size": 40}
# of each: what its language model, its tower and the whole need, and how it takes an image
Case = tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]
CASES: dict[str, Case] = {
    "glm4v": (ROTATED, GLM, {}, "film"),
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
        {"model_type": "qwen2"}, {**IMAGE, "window_size": 3, "global_attn_indexes": [1], "mlp_dim": 52,
        "output_channels": 20}, {}, "image",
    ),
    "muse_glimmer": (
        {}, {**VIT, "pos_emb_height": 4, "pos_emb_width": 4, "num_hidden_layers": 5},
        {"projector_hidden_size": 36, "out_hidden_size": 96}, "pairs",
    ),
}  # fmt: skip
# what a class does beside its tower: it resizes a table of positions by a matrix product
RESIZING = {"lfm2_vl": 2 * PATCHES * PATCHES * SIZES["hidden_size"]}


def _pixels(kind: str) -> dict[str, Any]:
    """An image as the class takes it."""
    grid = torch.tensor([[1, ROWS, ROWS]])
    image, values = torch.ones(1, 3, SIDE, SIDE), 3 * PATCH * PATCH
    return {
        "image": {"pixel_values": image},
        "sized": {"pixel_values": image, "image_sizes": torch.tensor([[SIDE, SIDE]])},
        "flat": {"pixel_values": torch.zeros(PATCHES, values), "image_grid_thw": grid},
        "pairs": {"pixel_values": torch.zeros(PATCHES, 2 * values), "image_grid_thw": grid},
        "film": {"pixel_values": torch.zeros(PATCHES, 2 * values), "image_grid_thw": grid},
        "squares": {"pixel_values": torch.zeros(PATCHES, 3, PATCH, PATCH), "image_grid_thw": grid},
        "merged": {
            "pixel_values": torch.zeros(PATCHES, values), "image_grid_thw": grid, "image_merge_sizes": torch.tensor([1])
        },
        "packed": {
            "pixel_values": torch.zeros(1, PATCHES, values), "spatial_shapes": torch.tensor([[ROWS, ROWS]]),
            "pixel_attention_mask": torch.ones(1, PATCHES, dtype=torch.int64),
        },
    }[kind]  # fmt: skip


@pytest.mark.parametrize("model_type", CASES)
def test_tower(model_type: str) -> None:
    text, vision, more, kind = CASES[model_type]
    changes = {"text_config": {**TEXT, **text}, "vision_config": vision, **more}
    class_name = reference.classes(model_type)[0]
    model = reference.build(class_name, model_type, changes, device="cpu")
    architecture = llmcalc.load(reference.plain_config(model, class_name))
    with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.model.get_image_features(**_pixels(kind))
    seen, blind = (
        llmcalc.flops(architecture, batch=1, seq=8, patches=count, convention="torch").matmul for count in (PATCHES, 0)
    )
    assert seen - blind == counter.get_total_flops() - RESIZING.get(model_type, 0)

"""FLOPs of vision towers and what leads from them to the language model, under torch's counter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import llmcalc

from . import reference

pytestmark = pytest.mark.filterwarnings("ignore")

SIDE, PATCH = 32, 8  # pixels along an image and a patch
PATCHES = (SIDE // PATCH) ** 2
TEXT = {
    "hidden_size": 40, "intermediate_size": 52, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "vocab_size": 101,
}  # fmt: skip
VISION = {
    "hidden_size": 24, "intermediate_size": 44, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": PATCH,
}  # fmt: skip
QWEN = {"depth": 4, "num_heads": 2, "patch_size": PATCH}
SQUARE = {"image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]}
HEADLESS = {"vision_use_head": False}
# of each: the types of the language model and of the tower, and what else the whole and the tower need
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "llava": ("llama", "clip_vision_model", {}, {}),
    "llava full": ("llama", "clip_vision_model", {"vision_feature_select_strategy": "full"}, {}),
    "vipllava": ("llama", "clip_vision_model", {"vision_feature_layer": [-2, -1, 1]}, {}),
    "paligemma": ("gemma", "siglip_vision_model", {"projection_dim": 40}, HEADLESS),
    "gemma3": ("gemma3_text", "siglip_vision_model", {"mm_tokens_per_image": 4}, HEADLESS),
    "internvl": ("qwen2", "internvl_vision", {}, SQUARE),
    "mistral3": ("mistral", "pixtral", {}, {}),
    "idefics3": ("llama", "idefics3_vision", {}, {}),
    "smolvlm": ("llama", "smolvlm_vision", {"scale_factor": 4}, {}),
    "qwen2_vl": ("qwen2_vl_text", "qwen2_vl_vision", {}, {**QWEN, "embed_dim": 48, "hidden_size": 40}),
    "qwen2_5_vl": (
        "qwen2_5_vl_text",
        "qwen2_5_vl_vision",
        {},
        {
            **QWEN,
            "hidden_size": 48,
            "intermediate_size": 44,
            "out_hidden_size": 40,
            "window_size": 2 * PATCH,
            "fullatt_block_indexes": [1],
        },
    ),
}
PACKED = ("qwen2_vl", "qwen2_5_vl")


def _pixels(model_type: str) -> dict[str, Any]:
    """An image as the class takes it."""
    if model_type in PACKED:
        rows = SIDE // PATCH
        return {
            "pixel_values": torch.zeros(PATCHES, 3 * 2 * PATCH * PATCH),
            "image_grid_thw": torch.tensor([[1, rows, rows]]),
        }
    image = torch.ones(1, 3, SIDE, SIDE)
    more = {"image_sizes": torch.tensor([[SIDE, SIDE]])} if model_type == "mistral3" else {}
    return {"pixel_values": image[None] if model_type in ("idefics3", "smolvlm") else image, **more}


@pytest.mark.parametrize("case", CASES)
def test_tower(case: str) -> None:
    text_type, vision_type, more, vision = CASES[case]
    model_type = case.partition(" ")[0]
    rotated = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}}
    changes = {
        "text_config": {"model_type": text_type, **TEXT, **(rotated if model_type in PACKED else {})},
        "vision_config": {"model_type": vision_type, **({} if model_type in PACKED else VISION), **vision},
        **more,
    }
    class_name = reference.classes(model_type)[0]
    model = reference.build(class_name, model_type, changes, device="cpu")
    architecture = llmcalc.load(reference.plain_config(model, class_name))
    with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.model.get_image_features(**_pixels(model_type))
    seen, blind = (
        llmcalc.flops(architecture, batch=1, seq=8, patches=count, convention="torch").matmul for count in (PATCHES, 0)
    )
    assert seen - blind == counter.get_total_flops()

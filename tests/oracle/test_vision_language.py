"""FLOPs of the vision encoders and projectors in the tables, under torch's counter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import llmcalc

from ..importers.vision_language_cases import CASES, PATCH, PATCHES, ROWS, SIDE, SIZES, config
from . import exact, reference

pytestmark = pytest.mark.filterwarnings("ignore")

# what a class does beside its tower: it resizes a table of positions by a matrix product
RESIZING = {"lfm2_vl": 2 * PATCHES * PATCHES * SIZES["hidden_size"]}


def _pixels(kind: str) -> dict[str, Any]:
    """An image as the class takes it."""
    grid = torch.tensor([[1, ROWS, ROWS]])
    image, values = torch.ones(1, 3, SIDE, SIDE), 3 * PATCH * PATCH
    return {
        "image": {"pixel_values": image},
        "images": {"pixel_values": image[None]},
        "tiles": {"pixel_values": image[None], "pixel_attention_mask": torch.ones(1, 1, dtype=torch.bool)},
        "pooled": {
            "pixel_values": torch.zeros(1, PATCHES, values),
            "image_grids": torch.tensor([[ROWS // 2, ROWS // 2, 0, 0]]),
            "image_token_pooling": torch.arange(PATCHES).view(PATCHES // 4, 4),
        },
        "strip": {
            "pixel_values": torch.zeros(1, 3, PATCH, PATCH * PATCHES), "target_sizes": torch.tensor([[ROWS, ROWS]])
        },
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
def test_encoder_flops(model_type: str) -> None:
    kind, changes = CASES[model_type][-1], config(model_type)
    del changes["model_type"]
    class_name = reference.classes(model_type)[0]
    model = reference.build(class_name, model_type, changes, device="cpu")
    architecture = llmcalc.load(reference.plain_config(model, class_name))
    with reference.quiet(), FlopCounterMode(display=False) as counter:
        getattr(model, "model", model).get_image_features(**_pixels(kind))
    seen, blind = (
        llmcalc.flops(architecture, batch=1, seq=8, patches=count, convention="torch").matmul for count in (PATCHES, 0)
    )
    assert seen - blind == counter.get_total_flops() - RESIZING.get(model_type, 0)


TOLERANCE, FRAMES = 1e-9, 2
RUN = (
    "got_ocr2", "blip-2", "exaone4_5", "cosmos3_omni", "qianfan_ocr", "lighton_ocr", "deepseek_vl", "glm4v", "glm_ocr",
    "glm4v_moe", "paddleocr_vl", "video_llama_3",
)  # fmt: skip


def _image(kind: str) -> tuple[Any, dict[str, Any]]:
    """An image as patches row by row, and as the class takes it: films come as squares of patches."""
    image = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    patches = image.reshape(3, ROWS, PATCH, ROWS, PATCH).permute(1, 3, 0, 2, 4).reshape(PATCHES, 3, PATCH, PATCH)
    if kind == "merged":
        return patches, {**_pixels(kind), "pixel_values": patches.flatten(1)}
    if kind == "squares":
        return patches, {**_pixels(kind), "pixel_values": patches}
    if kind != "film":
        return patches, {**_pixels(kind), "pixel_values": image}
    patches = patches[:, :, None].repeat(1, 1, FRAMES, 1, 1)
    squares = torch.arange(PATCHES).reshape(ROWS // 2, 2, ROWS // 2, 2).transpose(1, 2).flatten()
    return patches, {**_pixels(kind), "pixel_values": patches[squares].flatten(1)}


@pytest.mark.parametrize("model_type", RUN)
def test_features(model_type: str) -> None:
    kind, changes = CASES[model_type][-1], config(model_type)
    del changes["model_type"]
    class_name = reference.classes(model_type)[0]
    with reference.quiet(), exact.float64(), torch.no_grad():
        model = exact.model(class_name, model_type, changes)
        patches, given = _image(kind)
        found = getattr(model, "model", model).get_image_features(**given)
    wanted = [found.pooler_output, *(getattr(found, "deepstack_features", None) or [])]
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, class_name)))
    twin.load(exact.weights(model))
    (tower,) = (stack for stack in twin.stacks if stack.stack.role == "tower" and stack.input_shape(1))
    ours = twin.see(patches.numpy().reshape(1, *(tower.input_shape(PATCHES) or ())))
    assert len(ours) == len(wanted)
    for one, other in zip(ours, wanted, strict=True):
        features = other[0] if isinstance(other, (list, tuple)) else other
        assert exact.difference(one[0], features.reshape(-1, features.shape[-1]).numpy()) <= TOLERANCE

"""MiniCPM-V 4.6 and its kin: patches are merged by fours within the tower, and again behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named
from ....core.errors import SizeError
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.gpt import BIASED
from ....importers.hf.families.seeing import text_config
from ....importers.hf.projectors import layernorm, named
from ....importers.hf.rules import group_runs
from ....importers.hf.vision_encoders import clip as towers
from ....importers.hf.vision_encoders import vit as vits
from ....layers.attention import Attention
from ....layers.linear import Linear

_LEFT = f"""{OUTER} image_size patch_size drop_vision_last_layer image_start_id image_end_id slice_start_id slice_end_id
    newline_id
"""
FOUR = 4  # patches side by side behind the tower, whatever the config says of the merging
EPS = 1e-6


def minicpm_v(config: Config) -> Architecture:
    """The tower, in which a window of patches becomes one, or not, and the mergers behind it."""
    text = text_part(config, "qwen3_5_text", text_config(config))
    part = config.nested("vision_config", given(config, "vision_config"), f"{config.model_type}_vision")
    part.ignore("insert_layer_id")  # which the outer config decides
    place, merging = config.count("insert_layer_id"), config.one_of("downsample_mode", "16x", "4x") == "16x"
    window = _product(part, "window_kernel_size")
    stack = vits.read(part)
    count = vits.depth(part)
    merged = window if merging and place < count else 1
    blocks = [vits.block(part, vits.VITS[part.model_type]), vits.block(part, vits.VITS[part.model_type], merged)]
    runs = group_runs(blocks[index > place and merged > 1] for index in range(count))
    within = _within(part, window, unused=merged == 1)
    behind = _behind(config, stack.d_model, text.main.d_model, merged)
    towers.checked(part)
    config.ignore(_LEFT)
    stack = replace(stack, runs=runs, outputs=(*stack.outputs, *within, *behind))
    return replace(text, stacks=(*text.stacks, stack), layout=f"minicpmv4_6>{text.layout}")


def _product(config: Config, key: str) -> int:
    sides = config.layer_indices(key) or [2, 2]
    if len(sides) != 2:
        raise SizeError(f"{key} has {len(sides)} entries; it has 2", where=config.where)
    return config.integer(sides[0], key, 1) * config.integer(sides[1], key, 1)


def _within(config: Config, window: int, unused: bool) -> list[Named]:
    """Attention within a window, whose patches then go side by side through two layers."""
    width, heads, eps = config.size("hidden_size"), config.size("num_attention_heads"), config.number("layer_norm_eps")
    wide = window * width
    fields: dict[str, Any] = {"causal": False, "chunk": window, "unused": unused, **BIASED}
    return named(
        within_norm=replace(layernorm(width, eps=eps or EPS), unused=unused),
        within=Attention(width, heads, **fields),
        within_merged_norm=replace(layernorm(wide, window, eps or EPS), unused=unused),
        within_in=Linear(
            wide, window * config.size("intermediate_size"), activation="gelu_tanh", merge=window, unused=unused
        ),
        within_out=Linear(window * config.size("intermediate_size"), width, merge=window, unused=unused),
    )


def _behind(config: Config, width: int, out: int, merged: int) -> list[Named]:
    kernel, times = _product(config, "merge_kernel_size"), config.size("merger_times")
    wide, found = width * FOUR, list[Named]()
    for number in range(times):
        merged *= kernel
        result = out if number == times - 1 else width
        layers = (Linear(wide, wide, activation="gelu", merge=merged), Linear(wide, result, merge=merged))
        found += [
            Named(f"merger_norm{number}", layernorm(wide, merged, EPS)),
            Named(f"merger_in{number}", layers[0]),
            Named(f"merger_out{number}", layers[1]),
        ]
    return found

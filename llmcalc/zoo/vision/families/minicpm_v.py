"""MiniCPM-V 4.6 and later models, with patch merging inside and after the vision encoder."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....importers.hf.composite_models import IGNORED, nested_config, text_model
from ....importers.hf.config import BIASED, Config, Fields
from ....importers.hf.encoders import check_encoder
from ....importers.hf.projectors import layernorm
from ....importers.hf.rules import group_runs
from ....importers.hf.vision_encoders import transformer
from ....importers.hf.vision_encoders.parts import EPS, named, two_linears
from ....layers import Attention, Linear

MERGED = 4  # number of patches concatenated after the encoder, regardless of merge_kernel_size


def minicpm_v(config: Config) -> Architecture:
    """Read a MiniCPM-V config. Patches may be merged inside the vision encoder and are always merged after it."""
    text = text_model(config, "qwen3_5_text")
    part = nested_config(config, "vision_config", f"{config.model_type}_vision")
    part.ignore("insert_layer_id")  # the outer config decides
    place, merges = config.count("insert_layer_id"), config.one_of("downsample_mode", "16x", "4x") == "16x"
    window, count = _product(part, "window_kernel_size"), transformer.depth(part)
    stack = transformer.read(part)
    merge = window if merges and place < count else 1
    blocks = transformer.block(part), transformer.block(part, merge)
    runs = group_runs(blocks[index > place and merge > 1] for index in range(count))
    outputs = [*stack.outputs, *_within(part, window, unused=merge == 1)]
    outputs += _mergers(config, stack.d_model, text.main.d_model, merge)
    check_encoder(part)
    config.ignore(f"{IGNORED} image_size patch_size drop_vision_last_layer image_start_id image_end_id")
    config.ignore("slice_start_id slice_end_id newline_id")
    stack = replace(stack, runs=runs, outputs=tuple(outputs))
    return replace(text, stacks=(*text.stacks, stack), layout=f"minicpmv4_6>{text.layout}")


def _product(config: Config, key: str) -> int:
    sides = config.layer_indices(key) or [2, 2]
    if len(sides) != 2:
        raise config.size_error(f"{key} must have 2 entries, not {len(sides)}")
    return config.integer(sides[0], key, 1) * config.integer(sides[1], key, 1)


def _within(config: Config, window: int, unused: bool) -> list[Named]:
    """Return windowed patch attention, followed by two linear layers that merge each window."""
    width, heads, eps = config.d_model, config.n_heads, config.number("layer_norm_eps")
    wide = window * width
    fields: Fields = {"causal": False, "chunk": window, "unused": unused, **BIASED}
    return named(
        within_norm=replace(layernorm(width, eps=eps or EPS), unused=unused),
        within=Attention(width, heads, **fields),
        within_merged_norm=replace(layernorm(wide, window, eps or EPS), unused=unused),
        within_in=Linear(
            wide, window * config.size("intermediate_size"), activation="gelu_tanh", merge=window, unused=unused
        ),
        within_out=Linear(window * config.size("intermediate_size"), width, merge=window, unused=unused),
    )


def _mergers(config: Config, width: int, out: int, merge: int) -> list[Named]:
    """Return ``merger_times`` groups of layers. Each group has a LayerNorm and two linear layers."""
    kernel, times, found = _product(config, "merge_kernel_size"), config.size("merger_times"), list[Named]()
    for number in range(times):
        merge *= kernel
        norm = Named(f"merger_norm{number}", layernorm(MERGED * width, merge, EPS))
        layers = two_linears(
            "merger", MERGED * width, MERGED * width, out if number == times - 1 else width, merge=merge
        )
        found += [norm, *(Named(f"{name}{number}", layer) for name, layer in layers)]
    return found

"""The Qwen2-VL, Qwen2.5-VL and Qwen3-VL vision encoders, including their patch mergers."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Named, Stack
from ....layers import Attention, Embedding, Features, Mlp, Norm, Patch, Rope
from ..config import BIASED, Config, Fields
from ..rules import group_runs, repeat_block
from .parts import CHANNELS, EPS, attention_mlp, merger, rope_theta


def qwen2_vl(config: Config) -> Stack:
    """Read a Qwen2-VL config with spatiotemporal patches, rotary positions and a patch merger."""
    width = config.size("embed_dim")
    mlp = Mlp(width, int(width * config.positive_number("mlp_ratio")), config.activation(), bias=True)
    return _qwen2(config, Norm(width, "layernorm", bias=True, eps=EPS), mlp, None, config.d_model)


def qwen2_5_vl(config: Config) -> Stack:
    """Read a Qwen2.5-VL config with RMSNorm, gated MLPs and window attention in most blocks."""
    config.ignore("tokens_per_second")
    mlp = config.gated_mlp(bias=True)
    side = config.size("window_size") // config.size("patch_size")
    return _qwen2(config, Norm(config.d_model, eps=EPS), mlp, side * side, config.size("out_hidden_size"))


def _qwen2(config: Config, norm: Norm, mlp: Mlp, window: int | None, out: int) -> Stack:
    """Return the encoder. ``window`` is the number of patches per window, or None for full attention in all blocks."""
    width, heads, merge = norm.d_model, config.size("num_heads"), config.size("spatial_merge_size") ** 2
    config.ignore("in_chans spatial_patch_size")
    frames = config.size("temporal_patch_size")
    patch = Patch(config.size("in_channels", CHANNELS), config.size("patch_size"), width, frames, bias=False)
    fields: Fields = {"causal": False, "rope": Rope(rope_theta(config), grid="halves"), **BIASED}
    if "num_key_value_heads" in config.known_keys():
        fields["n_kv_heads"] = config.optional_size("num_key_value_heads") or heads
    attention = Attention(width, heads, **fields)
    kinds = {True: attention_mlp(attention, mlp, norm)}
    if window:
        kinds[False] = attention_mlp(replace(attention, chunk=window), mlp, norm, name="windowed")
    depth, full = config.size("depth"), set(config.layer_indices("fullatt_block_indexes"))
    runs = group_runs(kinds[not window or index in full] for index in range(depth))
    outputs = (Named("merger_norm", norm), *merger("merger", width, merge, out))
    return Stack("vision", width, (Named("patch", patch),), runs, outputs, "tower")


def qwen3_vl(config: Config) -> Stack:
    """Read a Qwen3-VL config with learned and rotary positions, and DeepStack projectors on intermediate layers."""
    width, merge = config.d_model, config.size("spatial_merge_size") ** 2
    out, frames = config.size("out_hidden_size"), config.size("temporal_patch_size")
    norm = Norm(width, "layernorm", bias=True, eps=EPS)
    attention = Attention(width, config.size("num_heads"), causal=False, rope=Rope(grid="halves"), **BIASED)
    act = config.activation() if config.get("hidden_act") else "gelu_tanh"
    mlp = Mlp(width, config.size("intermediate_size"), act, bias=True)
    inputs = (
        Named("patch", Patch(config.size("in_channels", CHANNELS), config.size("patch_size"), width, frames)),
        Named("position", Embedding(config.size("num_position_embeddings"), width, table="position")),
    )
    outputs = [Named("merger_norm", norm), *merger("merger", width, merge, out)]
    for number, block_number in enumerate(config.layer_indices("deepstack_visual_indexes")):
        outputs.append(Named(f"deepstack{number}_features", Features(width, str(block_number + 1), apart=True)))
        outputs.append(Named(f"deepstack{number}_norm", replace(norm, d_model=merge * width, merge=merge)))
        outputs += merger(f"deepstack{number}", width, merge, out)
    runs = repeat_block(attention_mlp(attention, mlp, norm), config.size("depth"))
    return Stack("vision", width, inputs, runs, tuple(outputs), "tower")

"""The vision encoders of Llama 4 and Llama 3.2 Vision."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Block, Named, Stack
from ....layers import Embedding, Linear, Norm, Rope, Scale, SequenceRows
from ..config import BIASED, Config
from ..rules import default_layernorm, repeat_block
from .parts import CHANNELS, CLASS_TOKEN, encoder_stack, grid, named, patches, plain_block

MLLAMA_RATIOS = 8  # number of aspect ratios of an image of up to four tiles


def llama4(config: Config) -> Stack:
    """Read a Llama 4 vision config with a class token, attention and MLP biases, and an adapter on merged patches."""
    config.ignore("vision_feature_select_strategy pixel_shuffle_ratio projector_dropout multi_modal_projector_bias")
    config.ignore("hidden_act vision_output_dim")
    norm = replace(default_layernorm(config.d_model), sequence=SequenceRows(prompt=CLASS_TOKEN))
    pixels = config.size("num_channels", CHANNELS) * config.size("patch_size") ** 2
    inputs = named(
        patch=Linear(pixels, config.d_model, bias=False),
        **{"class": Embedding(CLASS_TOKEN, config.d_model, table="other", use="prefix")},
        position=Embedding(grid(config) + CLASS_TOKEN, config.d_model, table="position"),
        pre_norm=norm,
    )
    block = plain_block(config, norm, "gelu", CLASS_TOKEN, rope=Rope(grid="other"), **BIASED)
    found = encoder_stack(config, tuple(inputs), block, norm)
    merge, d_ff = merged_patches(config), config.size("intermediate_size")
    inner, out = config.size("projector_input_dim"), config.size("projector_output_dim")
    adapter = named(
        adapter_in=Linear(d_ff, inner, bias=False, activation="gelu", merge=merge),
        adapter_out=Linear(out, out, bias=False, activation="gelu", merge=merge),
    )
    return replace(found, outputs=(*found.outputs, *adapter))


def merged_patches(config: Config) -> int:
    """Return the number of patches that Llama 4 merges into one token."""
    return round(1 / config.positive_number("pixel_shuffle_ratio") ** 2)


def mllama(config: Config) -> tuple[Stack, Stack]:
    """Read a Llama 3.2 Vision config with plain blocks, gated blocks and tile position embeddings."""
    width, layers = config.d_model, config.size("num_global_layers")
    config.ignore("intermediate_layers_indices")
    ratios = config.get("supported_aspect_ratios")
    rows = (len(ratios) if isinstance(ratios, list) else MLLAMA_RATIOS) + 1  # including one for no image
    tiles, positions = config.size("max_num_tiles"), grid(config) + CLASS_TOKEN
    prefix, eps = SequenceRows(prompt=CLASS_TOKEN), config.number("norm_eps") or 1e-5
    norm = Norm(width, "layernorm", bias=True, eps=eps, sequence=prefix)
    plain = replace(default_layernorm(width), sequence=prefix)
    gate = Scale(width, scalar=True, function="tanh", prompt=CLASS_TOKEN)
    unused_gate = replace(gate, unused=True)
    tile = Embedding(rows, tiles * width, table="other", unused=True)
    inputs = (
        *patches(config, bias=False, prefix=CLASS_TOKEN, rows=positions),
        Named("position_gate", unused_gate),
        Named("tile", Embedding(rows, tiles * positions * width, table="other", unused=True)),
        Named("before", tile),
        Named("before_gate", unused_gate),
        Named("pre_norm", plain),
    )
    block = plain_block(config, norm, config.activation(), CLASS_TOKEN)
    gated = Block("gated", tuple(replace(part, post=gate) for part in block.sublayers))
    runs = repeat_block(block, config.n_layers)
    local = Stack("transformer", width, inputs, runs, (Named("post_norm", plain),), "tower")
    after = tuple(named(after=tile, after_gate=unused_gate))
    return local, Stack("global_transformer", width, after, repeat_block(gated, layers), (), "tower")

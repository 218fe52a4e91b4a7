"""LFM3-VL's vision encoder: short convolutions over the grid of patches, and attention in some blocks."""

from __future__ import annotations

from ....core.architecture import Block, Stack
from ....core.layer import Layer
from ....importers.hf.config import Config
from ....importers.hf.rules import runs_by_type, sublayer
from ....importers.hf.vision_encoders.parts import CHANNELS, named
from ....layers.attention import Attention
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.short_conv import ShortConv

PERIOD = 2  # without layer_types, every second block after the first has attention
CONVOLUTION, ATTENTION = "conv", "full_attention"


def read(config: Config) -> Stack:
    """The encoder without its projector."""
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    count, eps = config.size("num_hidden_layers"), config.number("norm_eps") or 1e-5
    config.ignore("rope_parameters rope_theta initializer_range")
    norm = Norm(width, eps=eps)
    groups = config.optional_size("num_key_value_heads")
    attention = Attention(width, heads, groups, causal=False, positions="rope", qk_norm="head", qk_norm_eps=eps)
    mlp = Mlp(width, config.size("intermediate_size"), "silu", gated=True)
    kernel = config.size("conv_kernel_size")

    def block(name: str, mixer: Layer) -> Block:
        return Block(name, (sublayer("mixer", mixer, pre=norm), sublayer("mlp", mlp, pre=norm)))

    kinds = {
        CONVOLUTION: block("convolution", ShortConv(width, kernel, grid=True)),
        ATTENTION: block("attention", attention),
    }
    usual = [ATTENTION if index and index % PERIOD == 0 else CONVOLUTION for index in range(count)]
    pixels = config.size("in_channels", CHANNELS) * config.size("patch_size") ** 2 * config.size("temporal_patch_size")
    inputs = named(patch=Linear(pixels, width, bias=False), pre_norm=norm)
    return Stack(
        "vision", width, tuple(inputs), runs_by_type(kinds, config.strings("layer_types", count) or usual), (), "tower"
    )

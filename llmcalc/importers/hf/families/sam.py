"""SAM's vision transformer before a language model [kirillov2023], alone or beside another one."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....layers.embedding import Embedding
from ....layers.grid_attention import GridAttention
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.patch import Patch
from ..config import Config
from ..rules import chosen, sublayer
from . import towers
from .multimodal import OUTER, given, text_part
from .projectors import layernorm, named
from .seeing import text_config

KERNEL, HALVED = 3, 4  # side of a convolution; patches that one becomes of which every second row and column is taken
NECK_EPS = 1e-6
WORDS = "view_separator image_newline"


def sam(config: Config) -> Stack:
    """Windows in all blocks but some, biases of distances; two convolutions narrow what comes out."""
    width, heads, out = config.size("hidden_size"), config.size("num_attention_heads"), config.size("output_channels")
    side = config.size("image_size") // config.size("patch_size")
    config.ignore("initializer_range num_pos_feats mlp_ratio")
    window, full = config.count("window_size"), set(config.indices("global_attn_indexes"))
    fields = {"bias": config.flag("qkv_bias", True), "relative": config.flag("use_rel_pos", True)}
    norm, act = towers.layernorm(config), config.activation()
    d_ff = config.optional_size("mlp_dim") or int(width * (config.number("mlp_ratio") or 4.0))
    mlp = sublayer("sam_mlp", Mlp(width, d_ff, act, bias=True), pre=norm)

    def block(name: str, limit: int | None) -> Block:
        attention = GridAttention(width, heads, side, limit, **fields)
        return Block(name, (sublayer("sam_attention", attention, pre=norm), mlp))

    kinds = {"global": block("global", None), "windowed": block("windowed", window or None)}
    order = ["global" if index in full else "windowed" for index in range(config.size("num_hidden_layers"))]
    inputs = named(sam_patch=Patch(config.size("num_channels"), config.size("patch_size"), width))
    if config.flag("use_abs_pos", True):
        inputs += named(sam_position=Embedding(side * side, width, table="position", columns=side))
    return Stack("sam", width, tuple(inputs), chosen(kinds, order), tuple(neck("neck", width, out)), "tower")


def neck(name: str, width: int, out: int) -> list[Named]:
    """Two convolutions, each with a norm behind it."""
    norm = layernorm(out, eps=NECK_EPS)
    layers = (Patch(width, 1, out, bias=False), norm, Patch(out, KERNEL, out, bias=False), norm)
    return [
        Named(f"{name}_{part}", layer) for part, layer in zip(("in", "in_norm", "out", "out_norm"), layers, strict=True)
    ]


def halving(width: int, inner: int, out: int) -> list[Named]:
    """Two convolutions, each of which halves the grid."""
    return named(
        downsample_in=Patch(width, KERNEL, inner, bias=False, merge=HALVED),
        downsample_out=Patch(inner, KERNEL, out, bias=False, merge=HALVED * HALVED),
    )


def got_ocr2(config: Config) -> Architecture:
    """GOT-OCR 2.0 [wei2024]: SAM, two convolutions and a matrix before Qwen 2."""
    text = text_part(config, "qwen2", text_config(config))
    part = config.within("vision_config", given(config, "vision_config"), "got_ocr2_vision")
    stack, width = sam(part), part.size("output_channels")
    out = text.main.d_model
    behind = [*halving(width, 2 * width, out), *named(projector=Linear(out, out, merge=HALVED * HALVED))]
    return _whole(config, text, "got_ocr2", replace(stack, outputs=(*stack.outputs, *behind)))


def _whole(config: Config, text: Architecture, layout: str, *stacks: Stack) -> Architecture:
    config.ignore(f"{OUTER} image_token_index")
    return replace(text, stacks=(*text.stacks, *stacks), layout=f"{layout}>{text.layout}")

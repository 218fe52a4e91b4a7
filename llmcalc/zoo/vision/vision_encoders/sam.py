"""SAM vision transformers [kirillov2023], optionally followed by a second transformer."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Block, Named, Stack
from ....importers.hf.composite_models import nested_config
from ....importers.hf.config import Config
from ....importers.hf.encoders import check_encoder
from ....importers.hf.projectors import layernorm as projector_layernorm
from ....importers.hf.rules import runs_by_type, sublayer
from ....importers.hf.vision_encoders import transformer
from ....importers.hf.vision_encoders.parts import layernorm, named
from ....layers import Embedding, Mlp, Patch
from ..layers.grid_attention import GridAttention

KERNEL, HALVED = 3, 4  # kernel size of a convolution, and patches per token after a stride of 2
MERGED = HALVED * HALVED  # number of patches per token after two convolutions
NECK_EPS = 1e-6
N_CONVOLUTIONS = 2
QUERIES = {768: 144, 1024: 256}  # number of queries of DeepSeek-OCR 2, by image side in pixels


def sam(config: Config) -> Stack:
    """Read a SAM config with window attention in most blocks, relative position biases, and a convolutional neck."""
    width, heads, out = config.d_model, config.n_heads, config.size("output_channels")
    side = config.size("image_size") // config.size("patch_size")
    config.ignore("initializer_range num_pos_feats mlp_ratio scale")
    window, full = config.count("window_size"), set(config.layer_indices("global_attn_indexes"))
    fields = {"bias": config.flag("qkv_bias", True), "relative": config.flag("use_rel_pos", True)}
    norm, act = layernorm(config), config.activation()
    d_ff = config.optional_size("mlp_dim") or int(width * (config.number("mlp_ratio") or 4.0))
    mlp = sublayer("sam_mlp", Mlp(width, d_ff, act, bias=True), pre=norm)

    def block(name: str, limit: int | None) -> Block:
        attention = GridAttention(width, heads, side, limit, **fields)
        return Block(name, (sublayer("sam_attention", attention, pre=norm), mlp))

    kinds = {"global": block("global", None), "windowed": block("windowed", window or None)}
    order = ["global" if index in full else "windowed" for index in range(config.n_layers)]
    inputs = named(sam_patch=Patch(config.size("num_channels"), config.size("patch_size"), width))
    if config.flag("use_abs_pos", True):
        inputs += named(sam_position=Embedding(side * side, width, table="position", columns=side))
    return Stack("sam", width, tuple(inputs), runs_by_type(kinds, order), tuple(neck("neck", width, out)), "tower")


def neck(name: str, width: int, out: int) -> list[Named]:
    """Return two convolutions, each followed by a norm."""
    norm = projector_layernorm(out, eps=NECK_EPS)
    layers = (Patch(width, 1, out, bias=False, stride=1), norm, Patch(out, KERNEL, out, bias=False, stride=1), norm)
    return [
        Named(f"{name}_{part}", layer) for part, layer in zip(("in", "in_norm", "out", "out_norm"), layers, strict=True)
    ]


def halving(width: int, inner: int, out: int) -> list[Named]:
    """Return two convolutions with stride 2."""
    return named(
        downsample_in=Patch(width, KERNEL, inner, bias=False, merge=HALVED, stride=2),
        downsample_out=Patch(inner, KERNEL, out, bias=False, merge=MERGED, stride=2),
    )


def sam_and_clip(config: Config) -> tuple[Stack, Stack]:
    """Read an Unlimited-OCR vision config with SAM, two convolutions, and CLIP blocks."""
    return _two_stages(config, MERGED)


def sam_and_language_model(config: Config) -> tuple[Stack, Stack]:
    """Read a DeepSeek-OCR 2 vision config with SAM, two convolutions, and a language model on patches and queries."""
    first, second = _two_stages(config, MERGED // 2)
    tables = {
        f"queries{side}": Embedding(rows, second.d_model, table="other", use="side_tokens")
        for side, rows in QUERIES.items()
    }
    return first, replace(second, inputs=tuple(named(**tables)))


def _two_stages(config: Config, merge: int) -> tuple[Stack, Stack]:
    """Return both transformers. The second transformer has one token per ``merge`` patches."""
    stem = config.model_type.removesuffix("_vision")
    first = nested_config(config, "sam_config", f"{stem}_sam_vision_model")
    kind = "deepseek_ocr2_encoder" if stem == "deepseek_ocr2" else "unlimited_ocr_vision_encoder"
    second = nested_config(config, "encoder_config", kind)
    inner, out = downsample_channels(first)
    stacks = sam(first), transformer.read(second, merge)
    for part in (first, second):
        check_encoder(part)
    behind = halving(first.size("output_channels"), inner, out)
    return replace(stacks[0], outputs=(*stacks[0].outputs, *behind)), stacks[1]


def downsample_channels(config: Config) -> tuple[int, int]:
    """Return the channel counts of the two convolutions after SAM."""
    given = config.layer_indices("downsample_channels")
    if len(given) != N_CONVOLUTIONS:
        raise config.size_error(f"downsample_channels must have 2 entries, not {len(given)}")
    return config.integer(given[0], "downsample_channels", 1), config.integer(given[1], "downsample_channels", 1)

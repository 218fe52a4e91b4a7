"""Vision-language models: ERNIE 4.5, Ovis 2, Step 3.7, MiniMax M3, Muse Glimmer, Cosmos 3 Edge, ModernVBERT, Fuyu."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf.composite_models import IGNORED, text_model
from ....importers.hf.config import Config
from ....importers.hf.projectors import Link, activation, layernorm, merged
from ....importers.hf.rules import prenorm_block, runs_by_type
from ....importers.hf.vision_encoders.parts import CHANNELS, named, two_linears
from ....layers import Attention, Head, Linear, Mlp, Norm, Patch, Rope, Scale, ShortConv
from ....layers.parts.qk_norm import QkNorm
from ..vision_encoders.sam import MERGED, halving, neck

LFM3_PERIOD = 2  # by default, every second block after the first has attention
KERNEL, HALVED = 3, 4  # kernel size of Step 3.7's convolutions, and patches per token after a stride of 2


def fuyu(config: Config) -> Architecture:
    """Read a Fuyu config. A single linear layer projects patches to tokens."""
    text = text_model(config, "persimmon")
    side, width = config.size("patch_size"), text.main.d_model
    patch = Linear(side * side * config.size("num_channels"), width)
    config.ignore(f"{IGNORED} image_size")
    stack = Stack("vision", width, tuple(named(patch=patch)), (), (), "tower")
    return replace(text, stacks=(*text.stacks, stack), layout=f"fuyu>{text.layout}")


def with_outer_head(config: Config, text: Architecture) -> Architecture:
    """Return the language model with any untied head resized to the outer config's vocabulary and width."""
    vocab, width = config.vocab, config.d_model
    outputs = tuple(
        Named(
            name, replace(layer, vocab=vocab, d_model=width) if isinstance(layer, Head) and not layer.share else layer
        )
        for name, layer in text.main.outputs
    )
    return replace(text, stacks=(replace(text.main, outputs=outputs), *text.stacks[1:]))


def ernie(link: Link) -> list[Named]:
    """Build the ERNIE 4.5 VL projector. Two linear layers merge squares of patches, and two more merge frames."""
    frames, merge = link.encoder.size("temporal_merge_size"), merged(link.encoder)
    wide, eps = link.d_encoder * merge, link.encoder.number("rms_norm_eps") or 1e-6
    found = list[Named]()
    for name, width in (("spatial", wide), ("temporal", wide * frames)):
        norm = Named(f"{name}_norm", layernorm(wide, merge, eps))
        found += [*two_linears(name, width, wide, wide, merge=merge), norm]
    last = Linear(wide, link.d_model, merge=merge)
    return [*found, *named(projector=last, projector_norm=Norm(link.d_model, merge=merge))]


def normed_layers(link: Link) -> list[Named]:
    """Build the Cosmos 3 Edge or LFM3-VL projector with a LayerNorm and two linear layers on merged patches."""
    model, merge, act = link.model, merged(link.encoder), activation(link.model)
    inner, bias, wide = model.size("projector_hidden_size"), model.flag("projector_bias", True), link.d_encoder * merge
    layers = two_linears("projector", wide, inner, link.d_model, activation=act, bias=bias, merge=merge)
    return [Named("projector_norm", layernorm(link.d_encoder, eps=1e-6)), *layers]


def muse_glimmer(link: Link) -> list[Named]:
    """Build the Muse Glimmer projector with three linear layers on merged patches."""
    merge, act = merged(link.encoder, "merge_size"), activation(link.model)
    wide, inner = link.model.size("out_hidden_size"), link.model.size("projector_hidden_size")
    return named(
        projector_in=Linear(wide, inner, bias=False, activation=act, merge=merge),
        projector_out=Linear(inner, inner, bias=False, activation=act, merge=merge),
        projector=Linear(inner, link.d_model, bias=False, merge=merge),
    )


def modernvbert(link: Link) -> list[Named]:
    """Build the ModernVBERT or UltraVBERT projector with a linear layer on merged patches. UltraVBERT adds a norm."""
    merge = merged(link.model, "pixel_shuffle_factor")
    norm = named(connector_norm=Norm(link.d_model, merge=merge)) if link.model.model_type == "ultravbert" else []
    return [*named(connector=Linear(link.d_encoder * merge, link.d_model, bias=False, merge=merge)), *norm]


def ovis2(link: Link) -> list[Named]:
    """Build the Ovis 2 projector. Visual word probabilities weight the rows of an embedding table."""
    words, merge = link.encoder.vocab, merged(link.encoder, "hidden_stride")
    n_image_words = words - link.encoder.size("num_visual_indicator_tokens")
    return named(
        visual_head=Linear(link.d_encoder * merge, n_image_words, bias=False, merge=merge),
        visual_head_norm=layernorm(n_image_words, merge),
        visual_table=Linear(words, link.model.d_model, bias=False, merge=merge),
    )


def step3p7(link: Link) -> list[Named]:
    """Build the Step 3.7 projector with two stride-2 convolutions and a linear layer."""
    width, bias = link.d_encoder, link.model.flag("projector_bias")
    return named(
        downsampler0=Patch(width, KERNEL, 2 * width, merge=HALVED, stride=2),
        downsampler1=Patch(2 * width, KERNEL, 4 * width, merge=HALVED * HALVED, stride=2),
        projector=Linear(4 * width, link.d_model, bias, merge=HALVED * HALVED),
    )


def minimax_m3(link: Link) -> list[Named]:
    """Build the MiniMax M3 projector with two linear layers on each patch and two on merged patches.

    The original release states the merge size in ``img_token_compression_config``.
    """
    merge_size = link.encoder.size("spatial_merge_size")
    for config in (link.encoder, link.model):
        compression = config.mapping("img_token_compression_config")
        link.encoder.check_equal("spatial_merge_size", compression.get("spatial_merge_size", merge_size))
    link.model.check_equal("multimodal_projector_bias", True)
    merge, inner, out = merge_size**2, link.model.size("projector_hidden_size"), link.d_model
    first = two_linears("projector", link.d_encoder, inner, out)
    return [*first, *two_linears("merger", out * merge, inner, out, merge=merge)]


def sam_projector(link: Link) -> list[Named]:
    """Build the SAM projector of DeepSeek-VL 7B with a second neck, two convolutions, and a linear layer."""
    width = link.encoder.size("output_channels")
    return [
        *neck("second_neck", link.d_encoder, width),
        *halving(width, 2 * width, 4 * width),
        *named(alpha=Scale(width, scalar=True), high_projector=Linear(4 * width, link.d_model // 2, merge=MERGED)),
    ]


def siglip_projector(link: Link) -> list[Named]:
    """Build the DeepSeek-VL 7B projector with one linear layer for SigLIP and one for both encoder outputs."""
    return named(low_projector=Linear(link.d_encoder, link.d_model // 2), projector=Linear(link.d_model, link.d_model))


def lfm3_encoder(config: Config) -> Stack:
    """Read the LFM3-VL vision encoder. Its blocks use attention or short convolutions over the patch grid."""
    width, heads = config.d_model, config.n_heads
    count, eps = config.n_layers, config.number("norm_eps") or 1e-5
    norm = Norm(width, eps=eps)
    groups = config.optional_size("num_key_value_heads")
    attention = Attention(width, heads, groups, causal=False, rope=Rope(), qk_norm=QkNorm(eps=eps))
    mlp = Mlp(width, config.size("intermediate_size"), "silu", gated=True)
    kernel = config.size("conv_kernel_size")

    kinds = {
        "conv": prenorm_block("convolution", norm, mixer=ShortConv(width, kernel, grid=True), mlp=mlp),
        "full_attention": prenorm_block("attention", norm, mixer=attention, mlp=mlp),
    }
    usual = ["full_attention" if index and index % LFM3_PERIOD == 0 else "conv" for index in range(count)]
    pixels = config.size("in_channels", CHANNELS) * config.size("patch_size") ** 2 * config.size("temporal_patch_size")
    inputs = named(patch=Linear(pixels, width, bias=False), pre_norm=norm)
    return Stack(
        "vision", width, tuple(inputs), runs_by_type(kinds, config.strings("layer_types", count) or usual), (), "tower"
    )

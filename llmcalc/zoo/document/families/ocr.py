"""Page and formula recognition models, including GOT-OCR, Unlimited-OCR, DeepSeek-OCR 2, PaddleOCR-VL and GLM-OCR."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack, Sublayer
from ....importers.hf.composite_models import IGNORED, config_at, nested_config, read_composite, text_model
from ....importers.hf.config import BIASED, Config, Layers
from ....importers.hf.families.seq2seq import Style, head, stack
from ....importers.hf.projectors import Link, gated_merger, layernorm, merged, vector
from ....importers.hf.rules import repeat_block
from ....importers.hf.vision_encoders.parts import attention_mlp, merger, named, two_linears
from ....layers import Attention, Embedding, Linear, Mlp, Norm, Patch
from ....layers.parts.cross import Cross
from ...vision.vision_encoders.sam import HALVED, KERNEL, MERGED, downsample_channels, halving

OFFSET = 2  # number of rows in the position table before the first position
DOCLING_LAYERS = [3, 7, 10]  # default of deepstack_visual_indexes


def pix2struct(config: Config) -> Architecture:
    """Build Pix2Struct [lee2022] from T5's decoder and a patch encoder with row and column positions."""
    config.head_kind()
    part = nested_config(config, "vision_config", "pix2struct_vision_model")
    own = {**config_at(config, "text_config"), "tie_word_embeddings": config.flag("tie_word_embeddings")}
    text = text_model(config, "pix2struct_text_model", "inner", own)
    config.ignore(f"{IGNORED} is_vqa is_encoder_decoder initializer_factor")
    encoder = _pix2struct_encoder(part)
    part.check_all_read()
    main = text.main
    if encoder.d_model != main.d_model:
        said = f"the decoder has width {main.d_model}, but the encoder has width {encoder.d_model}"
        raise config.size_error(said)
    decoder = replace(main, runs=tuple(replace(run, block=_with_cross_attention(run.block)) for run in main.runs))
    return replace(text, stacks=(encoder, decoder), layout="pix2struct")


def _with_cross_attention(block: Block) -> Block:
    """Return a copy of a block with cross-attention enabled."""

    def run(part: Sublayer) -> Sublayer:
        (branch,) = part.branches
        if not (isinstance(branch.layer, Attention) and branch.layer.cross):
            return part
        return replace(part, branches=(replace(branch, layer=replace(branch.layer, unused=False)),))

    return Block(block.name, tuple(map(run, block.sublayers)))


def _pix2struct_encoder(config: Config) -> Stack:
    config.ignore("relative_attention_num_buckets")
    config.ignore("is_encoder_decoder tie_word_embeddings")
    norm = Norm(config.d_model, eps=config.number("layer_norm_eps") or 1e-6)
    attention = Attention(config.d_model, config.n_heads, d_head=config.size("d_kv"), scale=1.0, causal=False)
    mlp = Mlp(config.d_model, config.size("d_ff"), config.activation("dense_act_fn"), gated=True)
    table = Embedding(config.size("seq_len"), config.d_model, table="other")
    inputs = (
        Named("patch", Linear(config.size("patch_embed_hidden_size"), config.d_model)),
        Named("row", table),
        Named("column", table),
    )
    runs = repeat_block(attention_mlp(attention, mlp, norm), config.n_layers)
    return Stack("encoder", config.d_model, inputs, runs, (Named("norm", norm),), "encoder")


def pp_formulanet(config: Config) -> Architecture:
    """Build PP-FormulaNet [liu2025formula] from SAM, two convolutions, two linear layers, and mBART's decoder."""
    bare = config.head_kind() == "none"
    config.override("architectures", ["Model"] if bare else None)
    config.ignore("is_encoder_decoder")
    return replace(read_composite(config), layout="pp_formulanet.bare" if bare else "pp_formulanet")


def formulanet(link: Link) -> list[Named]:
    """Build the PP-FormulaNet projector with two convolutions and two linear layers."""
    config = link.encoder
    keys = ("post_conv_in_channels", "post_conv_mid_channels", "post_conv_out_channels", "decoder_hidden_size")
    entering, middle, leaving, out = (config.size(key) for key in keys)
    for size, expected, key in ((entering, config.size("output_channels"), keys[0]), (out, link.d_model, keys[-1])):
        if size != expected:
            raise config.size_error(f"{key} must be {expected}, not {size}")
    return [
        Named("downsample_in", Patch(entering, KERNEL, middle, bias=False, merge=HALVED)),
        Named("downsample_out", Patch(middle, KERNEL, leaving, bias=False, merge=MERGED)),
        *two_linears("projector", leaving, leaving, out, activation="identity", merge=MERGED),
    ]


def pp_formulanet_text(config: Config) -> Architecture:
    """Build PP-FormulaNet's text decoder [liu2025formula] from mBART's decoder with an untied head."""
    kind = "" if config.get("architectures") is None else config.head_kind()
    config.ignore("is_encoder_decoder encoder_layers encoder_attention_heads tie_word_embeddings")
    vocab, width, heads = config.vocab, config.size("d_model"), config.size("decoder_attention_heads")
    cross = Attention(width, heads, causal=False, cross=Cross(), unused=True, **BIASED)
    style = Style(pre_norm=True, final_norm=True, offset=OFFSET)
    table = Named("token", Embedding(vocab, width))
    outputs = [] if kind == "none" else [head(vocab, width, tied=False)]
    return Architecture(config.model_type, (stack(config, style, "decoder", [table], outputs, cross=cross),))


def got_ocr2(link: Link) -> list[Named]:
    """Build the GOT-OCR 2.0 projector [wei2024] with two convolutions and a linear layer after SAM."""
    width, out = link.encoder.size("output_channels"), link.d_model
    return [*halving(width, 2 * width, out), *named(projector=Linear(out, out, merge=MERGED))]


def unlimited_ocr(link: Link) -> list[Named]:
    """Build the Unlimited-OCR projector with one linear layer on the concatenated outputs of SAM and CLIP."""
    sam = nested_config(link.encoder, "sam_config", "unlimited_ocr_sam_vision_model")
    projector = Linear(downsample_channels(sam)[1] + link.d_encoder, link.d_model, merge=MERGED)
    return named(projector=projector, newline=vector(link.d_model), separator=vector(link.d_model))


def deepseek_ocr2(link: Link) -> list[Named]:
    """Build the DeepSeek-OCR 2 projector with one linear layer."""
    return named(projector=Linear(link.d_encoder, link.d_model, merge=MERGED), separator=vector(link.d_model))


def glm_ocr(link: Link) -> list[Named]:
    """Build the GLM-OCR projector, which is GLM-4V's projector with a different width."""
    return gated_merger(link, link.encoder.size("out_hidden_size") * link.encoder.size("in_channels"))


def paddleocr_vl(link: Link) -> list[Named]:
    """Build the PaddleOCR-VL projector with LayerNorm, followed by two linear layers on merged patches."""
    norm = Named("projector_norm", layernorm(link.d_encoder))
    return [norm, *merger("projector", link.d_encoder, merged(link.encoder), link.d_model)]


def hunyuan(link: Link) -> list[Named]:
    """Build the HunyuanOCR projector with two convolutions, a linear layer, and learned row and image delimiters."""
    vision, width = link.encoder, link.d_encoder
    side, text = vision.size("spatial_merge_size"), link.d_model
    merged, eps = side * side, vision.number("rms_norm_eps") or 1e-5
    layers: Layers = {
        "merger_norm": Norm(width, eps=eps),
        "merger_conv": Patch(width, side, 2 * width, merge=merged, stride=side),
        "merger_out": Patch(2 * width, 1, 4 * width, merge=merged, stride=1),
        "merger": Linear(4 * width, text, merge=merged),
        "newline": vector(4 * width),
        "begin": vector(text),
        "end": vector(text),
        "separator": vector(text),
        "after_norm": Norm(text, eps=eps, merge=merged),
    }
    return named(**layers)


def hy_v4(link: Link) -> list[Named]:
    """Build the Hunyuan 4 VL projector with two convolutions and a learned vector at the end of each row."""
    vision, width = link.encoder, link.d_encoder
    side, out = vision.size("spatial_merge_size"), vision.size("out_hidden_size")
    merged = side * side
    return named(
        merger_norm=Norm(width, eps=vision.number("rms_norm_eps") or 1e-5),
        merger_conv=Patch(width, side, merged * width, merge=merged, stride=side),
        merger_out=Patch(merged * width, 1, out, merge=merged, stride=1),
        newline=vector(out),
    )


def docling(link: Link) -> list[Named]:
    """Build the Granite Docling projector with coarse and fine branches that read several encoder layers."""
    vision, model = link.encoder, link.model
    factor, out = vision.size("scale_factor"), vision.size("out_hidden_size")
    given = vision.get("deepstack_visual_indexes")
    taps = len(given if isinstance(given, list) else DOCLING_LAYERS)
    found = named(
        connector_norm=layernorm(link.d_encoder), **_route("coarse", link.d_encoder, out, factor, taps, False)
    )
    if vision.flag("use_fine_route", True):
        found += named(**_route("fine", link.d_encoder, out, factor // 2, taps, True))
    merged = factor * factor
    found += named(
        mixing_norm=layernorm(out, merged),
        mixing=Linear(out, out, bias=False, merge=merged),
        mixed_norm=layernorm(out, merged),
    )
    model.ignore("density_router_threshold density_router_loss_weight")
    inner = model.optional_size("density_router_hidden_size")
    if inner:
        found += named(
            density=Linear(link.d_encoder, 1),
            density_norm=layernorm(link.d_encoder),
            density_in=Linear(link.d_encoder, inner, activation="gelu", positions="one"),
            density_out=Linear(inner, 1, positions="one"),
        )
    return found


def _route(name: str, width: int, out: int, factor: int, taps: int, unused: bool) -> Layers:
    merged = factor * factor
    layers: Layers = {name: Linear(width * merged, out, bias=False, merge=merged, unused=unused)}
    for number in range(taps):
        layers[f"{name}_norm{number}"] = replace(layernorm(width * merged, merged), unused=unused)
        layers[f"{name}_in{number}"] = Linear(width * merged, out, activation="gelu", merge=merged, unused=unused)
        layers[f"{name}_out{number}"] = Linear(out, out, merge=merged, unused=unused)
    return layers

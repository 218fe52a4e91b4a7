"""Document encoders with token positions on the page: MarkupLM, LayoutLMv2 and v3, LiLT, BROS."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named, Run
from ....importers.hf.config import BIASED, Config
from ....importers.hf.families.bert import bert_mlp, block, encoder, encoder_model, pooler, skip_padding, without_head
from ....layers import Embedding, Linear, Norm, Patch
from ..layers.box_attention import BoxAttention
from ..layers.box_embedding import BoxEmbedding
from ..layers.box_pairs import COORDINATES, BoxPairs
from ..layers.layoutlm_attention import LayoutLmAttention
from ..layers.lilt_attention import LiltAttention
from ..layers.path_embedding import PathEmbedding

INNER = 4  # hidden width of the path embedding, relative to the stream width
SIDES = 6  # four edges, height and width of a box
WAVES = 4  # stream width, relative to the width of the sinusoids of a pair of boxes
PATCH_EPS = 1e-6


def markuplm(config: Config) -> Architecture:
    """Build MarkupLM [li2021] from RoBERTa and an XPath embedding per token. One XPath matrix is unused."""
    width, depth, unit = config.d_model, config.size("max_depth"), config.size("xpath_unit_hidden_size")
    tags, numbers = (config.size(f"max_xpath_{kind}_unit_embeddings") for kind in ("tag", "subs"))
    missing = config.count("tag_pad_id"), config.count("subs_pad_id")
    for rows, entry in zip((tags, numbers), missing, strict=True):
        if entry >= rows:
            raise config.size_error(f"padding ID {entry} is outside the table of {rows} rows")
    paths = (
        Named("path", PathEmbedding(depth, tags, numbers, unit, INNER * width, width, *missing)),
        Named("idle_path", Linear(depth * unit, width, unused=True)),
    )
    stack = skip_padding(config, encoder(config, more=paths))
    without_head(config)
    return encoder_model(config, stack, [pooler(stack.d_model)])


def layoutlmv2(config: Config) -> Architecture:
    """Build the text encoder of LayoutLMv2 [xu2020] or LayoutXLM, without the visual backbone."""
    width, fast = config.d_model, config.flag("fast_qkv", True)
    shape = config.get("image_feature_pool_shape")
    config.ignore(
        "detectron2_config_args max_rel_pos rel_pos_bins max_rel_2d_pos rel_2d_pos_bins convert_sync_batchnorm"
    )
    if not isinstance(shape, list) or len(shape) != 3:
        raise config.invalid("image_feature_pool_shape", "a list of three integers", shape)
    rows, columns, channels = (config.integer(size, "image_feature_pool_shape", 1) for size in shape)
    config.add_unmodelled("the input always includes an image")
    attention = _on_page(config, scaled=False, **{**BIASED, "k_bias": not fast})
    image = [Named("image_projection", Linear(channels, width, unused=True))]
    if config.flag("has_visual_segment_embedding"):
        image.append(Named("image_segment", Embedding(1, width, table="other", unused=True)))
    image.append(Named("image_norm", replace(config.layernorm(), unused=True)))
    stack = encoder(config, more=(_box(config), *image), attention=attention)
    without_head(config)
    note = f"not counted: the visual backbone and the {rows * columns} image tokens that follow each text"
    layout = "layoutlmv2" if fast else "layoutlmv2_apart"
    return replace(encoder_model(config, stack, [pooler(width)]), notes=(note,), layout=layout)


def layoutlmv3(config: Config) -> Architecture:
    """Build LayoutLMv3 [huang2022] for text input, with an unused patch embedding."""
    if not config.flag("text_embed", True):
        raise config.error("text_embed must be true")
    width, heads = config.d_model, config.n_heads
    relative, spatial = config.flag("has_relative_attention_bias"), config.flag("has_spatial_attention_bias")
    unused: list[Named] = []
    if spatial and not relative:  # used only together with the other biases
        bins = config.size("rel_2d_pos_bins")
        unused += [Named(f"idle_{axis}", Linear(bins, heads, bias=False, unused=True)) for axis in ("across", "down")]
    attention = _on_page(config, scaled=True, boxes=relative, **BIASED)
    has_image = config.flag("visual_embed", True)
    unused += _patches(config, width) if has_image else []
    config.ignore("input_size num_channels patch_size max_rel_pos rel_pos_bins max_rel_2d_pos rel_2d_pos_bins")
    stack = skip_padding(config, encoder(config, more=(_box(config), *unused), attention=attention))
    without_head(config)
    note = "not counted in FLOPs: the patch embedding, because text input has no image"
    return replace(encoder_model(config, stack, []), notes=(note,) if has_image else ())


def _patches(config: Config, width: int) -> list[Named]:
    side, image = config.size("patch_size"), config.size("input_size")
    return [
        Named("patch", Patch(config.size("num_channels"), side, width, unused=True)),
        Named("class", Embedding(1, width, table="other", unused=True)),
        Named("patch_position", Embedding(int(image / side) ** 2 + 1, width, table="position", unused=True)),
        Named("patch_norm", Norm(width, "layernorm", bias=True, eps=PATCH_EPS, unused=True)),
        Named("joint_norm", replace(config.layernorm(width=width), unused=True)),
    ]


def _box(config: Config) -> Named:
    edge, size, width = config.size("coordinate_size"), config.size("shape_size"), config.d_model
    if 4 * edge + 2 * size != width:
        raise config.size_error(
            f"4 · coordinate_size ({edge}) + 2 · shape_size ({size}) must equal hidden_size ({width})"
        )
    return Named("box", BoxEmbedding(config.size("max_2d_position_embeddings"), edge, size))


def _on_page(config: Config, *, scaled: bool, boxes: bool = True, **fields: Any) -> LayoutLmAttention:
    if config.flag("has_relative_attention_bias"):
        fields |= {"distance_buckets": config.size("rel_pos_bins"), "distance_most": config.size("max_rel_pos")}
    if boxes and config.flag("has_spatial_attention_bias"):
        fields |= {"box_buckets": config.size("rel_2d_pos_bins"), "box_most": config.size("max_rel_2d_pos")}
    return LayoutLmAttention(config.d_model, config.n_heads, causal=False, bias_scaled=scaled, **fields)


def lilt(config: Config) -> Architecture:
    """Build LiLT [wang2022] from RoBERTa and a narrower layout stream, whose output in the last layer is unused."""
    width, ratio, rows = (
        config.size(key) for key in ("hidden_size", "channel_shrink_ratio", "max_position_embeddings")
    )
    narrow, edge = config.divide_by_heads(width, ratio), config.divide_by_heads(width, SIDES)
    first = config.count("pad_token_id")
    positions = {"n_places": rows, "offset": first + 1, "padding_id": first}
    eps = config.number("layer_norm_eps") or 1e-12
    places = BoxEmbedding(config.size("max_2d_position_embeddings"), edge, edge, narrow, eps=eps, **positions)
    d_ff = config.size("intermediate_size") // ratio
    attention = LiltAttention(width, config.n_heads, narrow, d_ff, config.activation(), eps)
    stack = skip_padding(config, encoder(config, attention=attention))
    last = block(config, replace(attention, dropped=True), bert_mlp(config))
    *before, end = stack.runs
    kept = [Run(end.block, end.count - 1)] if end.count > 1 else []
    stack = replace(
        stack, inputs=(*stack.inputs, Named("box", places)), runs=((*before, *kept, Run(replace(last, name="last"), 1)))
    )
    without_head(config)
    return encoder_model(config, stack, [pooler(width)])


def bros(config: Config) -> Architecture:
    """Build BROS [hong2021] from BERT, with relative positions of token boxes in the attention scores."""
    width, heads = config.d_model, config.n_heads
    config.ignore("n_relations")
    if config.size("dim_bbox") != COORDINATES or width % (WAVES * 2 * COORDINATES):
        whole = WAVES * 2 * COORDINATES
        text = f"dim_bbox must be {COORDINATES}, and hidden_size a multiple of {whole}"
        raise config.size_error(text)
    waves = width // WAVES // COORDINATES
    config.check_equal("dim_bbox_sinusoid_emb_2d", width // WAVES)
    config.check_equal("dim_bbox_sinusoid_emb_1d", waves)
    config.check_equal("dim_bbox_projection", config.divide_by_heads(width, heads))
    pairs = BoxPairs(waves, config.divide_by_heads(width, heads), config.positive_number("bbox_scale"))
    attention = BoxAttention(width, heads, causal=False, **BIASED)
    if config.flag("is_decoder") or config.flag("add_cross_attention"):
        raise config.error("is_decoder and add_cross_attention are not supported")
    stack = encoder(config, attention=attention)
    stack = replace(stack, inputs=(*stack.inputs, Named("pairs", pairs)))
    without_head(config)
    return encoder_model(config, stack, [pooler(width)])

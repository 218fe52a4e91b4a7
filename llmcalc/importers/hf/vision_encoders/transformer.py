"""Vision transformers configured by rows in ``data/encoders.yaml``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ....core.architecture import Block, Named, Run, Stack
from ....core.record import NamedTuple
from ....layers import Attention, Embedding, Linear, Mlp, Norm, Patch, Rope, Scale
from ....layers.parts.qk_norm import QkNorm
from ..config import BIASED, Config, Fields
from ..encoders import find_encoder
from ..rules import repeat_block, runs_by_type
from .parts import CHANNELS, EPS, attention_mlp, grid, pooling_head, rectangle, square_side, with_prefix

FULL, WINDOWED = "full_attention", "window_attention"
PERIOD = 4  # by default, every fourth layer and the last one have full attention


class Transformer(NamedTuple):
    """Configuration of a vision transformer. A string in a boolean field names the config key to read.

    Attributes:
        patches: type of patch embedding: ``image`` (a convolution), ``film`` (a convolution over pairs of frames),
            ``flat`` (one matrix) or empty (the inputs are already tokens).
        patch_bias: whether the patch embedding has a bias.
        prefix: number of learned tokens before the patches.
        rows: name of the ``COUNTS`` function that returns the number of learned positions, or empty.
        norm: norm function. ``layernorm`` includes a bias.
        eps: config key for the norm epsilon.
        first: input of the norm before the blocks: ``patches``, ``positions`` (patches plus positions) or empty.
        last: whether there is a norm after the blocks.
        bias: whether the query, key and value projections have biases (also the default for ``o_bias``).
        mlp_bias: whether the feed-forward layers have biases.
        gated: whether the feed-forward layers are gated.
        d_ff: config key for the hidden width of the feed-forward layers.
        qk_norm: value of the attention field ``qk_norm``.
        qk_layernorm: config key for LayerNorm over the full width of queries and keys, or empty.
        grouped: whether the config sets the number of key/value heads and the head width.
        rope: value of the rotary position field ``grid``, or empty if there are no rotary positions.
        window: name of the ``COUNTS`` function that returns the number of patches per window, or empty.
        layer_scale: whether each sub-layer output is scaled by one factor per channel.
        pooling: config key of the flag for an unused pooling head, or empty.
        pooler: config key of the width of a pooler of the first position, which no decoder reads, or empty.
        older: ``old:new`` pairs of renamed config keys.
        ignored: config keys that do not affect sizes or computation.
    """

    patches: str = "image"
    patch_bias: bool = True
    prefix: int | None = None
    rows: str = ""
    norm: str = "layernorm"
    eps: str = "layer_norm_eps"
    first: str = ""
    last: bool = True
    bias: bool | str = True
    o_bias: bool | None = None
    mlp_bias: bool | str = True
    gated: bool = False
    d_ff: str = "intermediate_size"
    qk_norm: str = "none"
    qk_layernorm: str = ""
    grouped: bool = False
    rope: str = ""
    window: str = ""
    layer_scale: bool = False
    pooling: str = ""
    pooler: str = ""
    older: str = ""
    ignored: str = ""


def read(config: Config, merge: int = 1) -> Stack:
    """Return the vision transformer described by a config. ``merge`` is the number of patches per merged token."""
    fields = _fields(config)
    for pair in fields.older.split():
        config.read_legacy(*pair.split(":"))
    config.ignore(fields.ignored)
    norm, prefix = _norm(config, fields), fields.prefix
    inputs = [Named("patch", _patch(config, fields, config.d_model))] if fields.patches else []
    inputs += [Named("class", Embedding(prefix, config.d_model, table="other", use="prefix"))] if prefix else []
    inputs += [Named("pre_norm", norm)] if fields.first == "patches" else []
    if fields.rows:
        rows = COUNTS[fields.rows](config) + (prefix or 0)
        inputs += [Named("position", Embedding(rows, config.d_model, table="position"))]
    inputs += [Named("pre_norm", norm)] if fields.first == "positions" else []
    outputs = [Named("post_norm", norm)] if fields.last else []
    outputs += pooling_head(config) if fields.pooling and config.flag(fields.pooling) else []
    outputs += [_pooler(config, fields.pooler)] if fields.pooler else []
    return Stack("vision", config.d_model, tuple(inputs), _runs(config, fields, merge), tuple(outputs), "tower")


def _pooler(config: Config, key: str) -> Named:
    width, activation = config.optional_size(key) or config.d_model, config.activation("pooler_act")
    return Named("pooler", Linear(config.d_model, width, activation=activation, positions="one", dropped=True))


def _fields(config: Config) -> Transformer:
    found = find_encoder(config.model_type)
    assert found is not None, f"no encoder {config.model_type}"
    return Transformer(**found.fields)


def _runs(config: Config, fields: Transformer, merge: int) -> tuple[Run, ...]:
    count = depth(config)
    if not fields.window:
        return repeat_block(block(config, merge), count)
    windowed = block(config, window=COUNTS[fields.window](config))
    usual = [WINDOWED if (index + 1) % PERIOD and index < count - 1 else FULL for index in range(count)]
    return runs_by_type({FULL: block(config), WINDOWED: windowed}, config.strings("layer_types", count) or usual)


def depth(config: Config) -> int:
    """Return the number of blocks."""
    return config.size(_known_key(config, "num_hidden_layers", "depth"))


def block(config: Config, merge: int = 1, window: int | None = None) -> Block:
    """Return a block. ``merge`` is the number of patches per token, and ``window`` the number per attention window."""
    fields = _fields(config)
    width, heads = config.d_model, config.size(_known_key(config, "num_attention_heads", "num_heads"))
    norm = replace(_norm(config, fields), merge=merge)
    bias, mlp_bias = (_flag(config, value) for value in (fields.bias, fields.mlp_bias))
    options: Fields = dict.fromkeys(BIASED, bias) | ({} if fields.o_bias is None else {"o_bias": fields.o_bias})
    options |= {"qk_norm": QkNorm(fields.qk_norm, eps=norm.eps)} if fields.qk_norm != "none" else {}
    options |= {"rope": Rope(grid=fields.rope)} if fields.rope else {}
    if fields.qk_layernorm and config.flag(fields.qk_layernorm):
        options |= {"qk_norm": QkNorm("projection", "layernorm", bias=True, eps=1e-5)}
    if fields.grouped:
        options["n_kv_heads"] = config.optional_size("num_key_value_heads")
        options["d_head"] = config.optional_size("head_dim")
    attention = Attention(width, heads, causal=False, merge=merge, chunk=window, prompt=fields.prefix, **options)
    by_ratio = fields.d_ff == "mlp_ratio"
    d_ff = int(width * config.positive_number(fields.d_ff)) if by_ratio else config.size(fields.d_ff)
    rows = with_prefix(fields.prefix)
    mlp = Mlp(width, d_ff, config.activation(), gated=fields.gated, bias=mlp_bias, merge=merge, sequence=rows)
    post = Scale(width) if fields.layer_scale else None
    return attention_mlp(attention, mlp, norm, post, "merged" if merge > 1 else "windowed" if window else "block")


def _norm(config: Config, fields: Transformer) -> Norm:
    eps, bias = config.number(fields.eps) or EPS, fields.norm == "layernorm"
    return Norm(config.d_model, fields.norm, bias=bias, eps=eps, sequence=with_prefix(fields.prefix))


def _patch(config: Config, fields: Transformer, width: int) -> Linear | Patch:
    known, side = config.known_keys(), square_side(config)
    channels = next((config.size(key) for key in ("num_channels", "in_channels") if key in known), CHANNELS)
    if fields.patches == "flat":
        frames = config.size("patch_temporal") if "patch_temporal" in known else 1
        return Linear(frames * channels * side * side, width, fields.patch_bias)
    span = config.size("temporal_patch_size") if fields.patches == "film" else None
    return Patch(channels, side, width, span, fields.patch_bias)


def _flag(config: Config, value: bool | str) -> bool:
    return config.flag(value) if isinstance(value, str) else value


def _known_key(config: Config, *keys: str) -> str:
    """Return the first of ``keys`` that the transformers config class defines."""
    return next(key for key in keys if key in config.known_keys())


COUNTS: dict[str, Callable[[Config], int]] = {
    "grid": grid,
    "num_patches": lambda config: config.size("num_patches"),
    "position_cells": lambda config: config.size("pos_emb_height") * config.size("pos_emb_width"),
    "positions": lambda config: (
        config.optional_size("num_position_embeddings") or rectangle(config, "image_size", "patch_size")
    ),
    # the largest image, and an unused row before the patches
    "largest_grid": lambda config: (config.size("max_image_size") // config.size("patch_size")) ** 2 + 1,
}

"""Florence-2 [xiao2023] with a DaViT vision encoder [ding2022] and a BART language model."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from ....core.architecture import Architecture, Block, Named, Stack
from ....importers.hf.composite_models import IGNORED, TIE, config_at, nested_config, text_model
from ....importers.hf.config import BIASED, TOKENS, Config, Fields, Layers
from ....importers.hf.contradictions import check_values
from ....importers.hf.rules import default_layernorm, repeat_block, sublayer
from ....importers.hf.vision_encoders.parts import named
from ....layers import Attention, Embedding, FixedTable, Head, InputRows, Linear, Mlp, Patch, SequenceRows
from ..layers.channel_attention import ChannelAttention

NEAR = 3  # kernel size of a depthwise convolution
WHOLE = 1  # one token before the patches: the mean of the patches
_TABLES = (  # keys of the authors' class with the sizes of tables, and the keys of transformers
    ("visual_temporal_embedding", "max_temporal_embeddings", "max_temporal_embeddings"),
    ("image_pos_embed", "max_pos_embeddings", "max_position_embeddings"),
)
NOTE = "patches are those of the first stage, and windows are counted as full"
_LISTS = "depths patch_size patch_stride patch_prenorm embed_dim num_heads num_groups"


def florence2(config: Config) -> Architecture:
    """Read a Florence-2 config. Each stage of the vision encoder is a separate stack."""
    bare, own = config.head_kind() == "none", dict(config_at(config, "text_config"))
    text = text_model(config, "bart", "inner", {**own, TIE: own.get(TIE, True)})
    text = _with_own_tie(text, config.flag(TIE, True))
    main = text.main
    config.ignore(f"{IGNORED} is_encoder_decoder")
    part = nested_config(config, "vision_config", "florence_vision")
    _read_authors_keys(part)
    stages = _stages(part)
    wide, out, rows = stages[-1].d_model, part.size("projection_dim"), part.size("max_position_embeddings")
    if out != main.d_model:
        raise part.size_error(f"projection_dim ({out}) must equal the width of the language model ({main.d_model})")
    between = named(
        rows=Embedding(rows, wide // 2, table="other", use="side_tokens"),
        columns=Embedding(rows, wide - wide // 2, table="other", use="side_tokens"),
        times=Embedding(part.size("max_temporal_embeddings"), wide, "position", fixed=FixedTable(), use="side_tokens"),
        projector=Linear(wide, out, bias=False, sequence=InputRows(prompt=WHOLE)),
        projector_norm=replace(default_layernorm(out), sequence=SequenceRows(prompt=WHOLE)),
    )
    stages[-1] = replace(stages[-1], outputs=(*stages[-1].outputs, *between))
    part.ignore("patch_padding drop_path_rate is_encoder_decoder tie_word_embeddings")
    part.check_all_read()
    layout = f"florence2>{text.layout}"
    layout = f"{layout}.bare" if bare and not layout.endswith(".bare") else layout
    return replace(text, stacks=(*text.stacks, *stages), layout=layout, notes=(*text.notes, NOTE))


def _read_authors_keys(part: Config) -> None:
    """Copy the values of the authors' keys, two of which are objects, to the keys of transformers."""
    part.ignore("image_feature_source enable_checkpoint")
    part.read_legacy("dim_embed", "embed_dim")
    for key, old, new in _TABLES:
        size = part.mapping(key).get(old)
        if size is not None:
            part.override(new, size)


SHARED = "shared_table"  # stored but unused if both stacks have their own tables


def _with_own_tie(text: Architecture, tied: bool) -> Architecture:
    """Return BART with a bias-free head. A tied head shares the token table, even if neither stack uses the table."""
    apart = any(isinstance(layer, Embedding) and layer.unused for stack in text.stacks for _, layer in stack.inputs)
    share = (SHARED if apart else TOKENS) if tied else None

    def changed(entry: Named) -> Named:
        layer = entry.layer
        if isinstance(layer, Head):
            return Named(entry.name, replace(layer, buffer_bias=False, share=share))
        if isinstance(layer, Embedding) and layer.unused and tied:
            return Named(entry.name, replace(layer, share=share))
        return entry

    stacks = (
        replace(stack, inputs=tuple(map(changed, stack.inputs)), outputs=tuple(map(changed, stack.outputs)))
        for stack in text.stacks
    )
    return replace(text, stacks=tuple(stacks))


def _stages(config: Config) -> list[Stack]:
    """Return one stack per encoder stage. Each stage has fewer and wider tokens than the previous stage."""
    lists: dict[str, list[Any]] = {}
    for key in _LISTS.split():
        values = config.get(key)
        if not isinstance(values, list) or not values:
            raise config.invalid_size(key, "a list with one entry per stage", values)
        lists[key] = values
    check_values(config)  # that all lists are as long as embed_dim
    found = list[Stack]()
    widths = [config.integer(width, "embed_dim", 1) for width in lists["embed_dim"]]
    strides = [config.integer(stride, "patch_stride", 1) for stride in lists["patch_stride"]]
    for number, width in enumerate(widths):
        before = widths[number - 1] if number else config.size("in_channels")
        side, first = (
            config.integer(lists["patch_size"][number], "patch_size", 1),
            lists["patch_prenorm"][number] is True,
        )
        norm = Named("patch_norm", default_layernorm(before if first else width))
        inputs = (Named("patch", Patch(before, side, width)), *([] if first else [norm]))
        if first and found:  # applied to the tokens of the previous stage
            found[-1] = replace(found[-1], outputs=(Named("next_norm", norm.layer),))
        elif first:
            inputs = (*inputs, norm)
        merged = prod(stride**2 for stride in strides[1 : number + 1])
        heads, groups = (config.integer(lists[key][number], key, 1) for key in ("num_heads", "num_groups"))
        runs = repeat_block(_block(config, width, heads, groups), config.integer(lists["depths"][number], "depths", 1))
        found.append(
            Stack(f"stage{number}", width, inputs, runs, (), "tower", f"ceil(p, {merged})" if merged > 1 else "")
        )
    return found


def _block(config: Config, width: int, heads: int, groups: int) -> Block:
    """Return a block of window and channel attention, with a depthwise convolution before each attention and MLP."""
    norm, near, bias = default_layernorm(width), Patch(1, NEAR, width), config.flag("qkv_bias", True)
    d_ff, act = int(width * config.positive_number("mlp_ratio")), config.activation("activation_function")
    mlp = Mlp(width, d_ff, act, bias=True)
    fields: Fields = {**BIASED, "q_bias": bias, "k_bias": bias, "v_bias": bias}
    window = Attention(width, heads, causal=False, chunk=config.size("window_size") ** 2, **fields)
    parts = []
    layers: Layers = {"spatial": window, "channel": ChannelAttention(width, groups, bias)}
    for place, attention in layers.items():
        parts += [sublayer(f"{place}_near", near), sublayer(f"{place}_attention", attention, pre=norm)]
        parts += [sublayer(f"{place}_then", near), sublayer(f"{place}_mlp", mlp, pre=norm)]
    return Block("block", tuple(parts))

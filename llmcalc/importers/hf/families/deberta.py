"""DeBERTa and DeBERTa-v2/v3 with disentangled attention. Some models add a convolution after the first layer."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack
from ....layers import Conv, DisentangledAttention, Embedding, Head, Linear
from ..config import TOKENS, Config, Fields
from ..rules import repeat_block, sublayer
from .bert import block, embeddings, encoder_model, tied_head, transform


def deberta(config: Config) -> Architecture:
    """Read a DeBERTa config [he2020]."""
    if config.flag("talking_head"):
        raise config.error("talking_head is not supported")
    return _deberta(config, k_bias=False, position_k_bias=False, distances_grow=True)


def deberta_v2(config: Config) -> Architecture:
    """Read a DeBERTa-v2 or v3 config [he2021]. Relative positions may be bucketed or normalised."""
    head = config.optional_size("attention_head_size")
    if head and head * config.n_heads != config.d_model:
        raise config.error("attention_head_size times the number of heads must equal hidden_size")
    relative, normed = config.flag("relative_attention"), "layer_norm" in _words(config, "norm_rel_ebd")
    buckets = config.get("position_buckets", -1)
    rows = 2 * buckets if type(buckets) is int and buckets > 0 else None
    changes = {"shared_projections": config.flag("share_att_key"), "table_norm": normed and relative}
    architecture = _deberta(config, rows=rows, conv=_conv(config, config.d_model), **changes)
    (stack,) = architecture.stacks
    if normed and not relative:  # stored even without relative positions
        stack = replace(stack, inputs=(*stack.inputs, Named("relative_norm", config.layernorm())))
    return replace(architecture, stacks=(stack,))


def _words(config: Config, key: str) -> list[str]:
    value = config.get(key) or []
    return [word.strip() for word in value.lower().split("|")] if isinstance(value, str) else list(value)


def _conv(config: Config, width: int) -> Conv | None:
    taps = config.count("conv_kernel_size")
    groups, activation = config.size("conv_groups", 1), config.activation_name(config.string("conv_act", "tanh"))
    return Conv(width, width, taps, activation=activation, groups=groups) if taps else None


def _deberta(config: Config, rows: int | None = None, conv: Conv | None = None, **changes: bool) -> Architecture:
    narrow = config.optional_size("embedding_size") or config.d_model
    config.ignore("pooler_hidden_size pooler_dropout pooler_hidden_act")
    relative = config.flag("relative_attention")
    limit = config.get("max_relative_positions", -1)
    reach = limit if type(limit) is int and limit > 0 else config.size("max_position_embeddings")
    looks = _words(config, "pos_att_type")
    terms = {"content_to_position": "c2p" in looks, "position_to_content": "p2c" in looks}
    distances: Fields = {"n_distances": rows or 2 * reach, "max_distance": reach if rows else None} if relative else {}
    distances["table_norm_eps"] = config.number("layer_norm_eps") or 1e-7
    attention = DisentangledAttention(config.d_model, config.n_heads, **terms, **distances, **changes)
    norm, layers = config.layernorm(), config.n_layers
    inputs = list(embeddings(config, config.vocab, narrow, positions=config.flag("position_biased_input")))
    config.ignore("max_position_embeddings")
    inputs += [Named("projection", Linear(narrow, config.d_model, bias=False))] if narrow != config.d_model else []
    inputs.append(Named("norm", norm))
    usual = block(config, attention)
    runs = [Run(usual, layers)]
    if conv:
        last = sublayer("conv", conv, after=norm, input_from=usual.sublayers[0].name)
        runs = [Run(Block("first", (*usual.sublayers, last)), 1), *repeat_block(usual, layers - 1)]
    stack = Stack("encoder", config.d_model, tuple(inputs), tuple(runs), (), "encoder")
    return encoder_model(config, *_headed(config, stack, narrow))


def _headed(config: Config, stack: Stack, narrow: int) -> tuple[Stack, list[Named]]:
    """Return the stack and its head. The non-legacy head is always tied to the token embedding."""
    kind, width, legacy = config.head_kind("mlm", "none"), stack.d_model, config.flag("legacy", True)
    config.get("tie_word_embeddings")
    if kind == "none":
        return stack, []
    if legacy:
        return stack, [*transform(config, width, narrow), Named("head", tied_head(config, narrow))]
    token = Named("token", Embedding(config.vocab, narrow, share=TOKENS))
    head = Named("lm_head", Head(config.vocab, width, TOKENS, bias=True))
    parts = [Named(f"lm_{name}", layer) for name, layer in transform(config, width)]
    return replace(stack, inputs=(token, *stack.inputs[1:])), [*parts, head]

"""Shared code for BART-style encoder-decoder families, plus readers for T5Gemma and composite models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named, Run, Stack
from ....core.errors import UnknownNameError, short_repr
from ....core.layer import Layer
from ....core.record import NamedTuple
from ....layers import Attention, Embedding, FixedTable, Head, Ids, Linear, Mlp
from ....layers.parts.cross import Cross
from ..config import BIASED, TOKENS, Config, Fields, Layers
from ..rules import group_runs, runs_of, sublayer

Change = Callable[[Layer], Layer]
DECODER_TABLE = "decoder_embedding"
SIDES = ("encoder", "decoder")


def composed(config: Config) -> Architecture:
    """Read an encoder-decoder config that combines any encoder with any cross-attention decoder [rothe2019]."""
    config.ignore("is_encoder_decoder tie_word_embeddings")
    encoder, first = _side(config, "encoder", bare=True)
    decoder, second = _side(config, "decoder", bare=False)
    tokens, source = encoder.main, decoder.main
    outputs = tokens.outputs
    if tokens.d_model != source.d_model and not _inner(config, "decoder").get("cross_attention_hidden_size"):
        outputs = (*outputs, Named("enc_to_dec_proj", Linear(tokens.d_model, source.d_model, recomputed_per_step=True)))
    tokens = _map_layers(replace(tokens, name="encoder", role="encoder", outputs=outputs), _as_encoder)
    source = _map_layers(replace(source, name="decoder", role="decoder"), _as_decoder)
    return Architecture(config.model_type, (tokens, source), layout=f"{first}.bare+{second}")


class Style(NamedTuple):
    """Differences between a model family and BART.

    Attributes:
        pre_norm: whether norms come before the sub-layers.
        embedding_norm: whether the summed embeddings are normalised.
        final_norm: whether there is a norm after the last block.
        positions: config key for the number of positions.
        offset: number of rows in the position table before the first position.
        computed: whether positions are computed as in fairseq, skipping padding.
        biases: bias fields of all attention layers.
        width, layers, heads: config keys for the model width, layer counts and head counts.
        buffer_bias: whether the transformers class stores a logit bias as a buffer.
        feed: function that maps a config, side and block number to a block name and a feed-forward layer.
    """

    pre_norm: bool = False
    embedding_norm: bool = True
    final_norm: bool = False
    positions: str = "max_position_embeddings"
    offset: int = 0
    computed: bool = False
    biases: Fields = BIASED
    width: str = "d_model"
    layers: str = "{side}_layers"
    heads: str = "{side}_attention_heads"
    buffer_bias: bool = True
    feed: Callable[[Config, str, int], tuple[str, Layer]] | None = None
    activation: str = "activation_function"


def class_kind(config: Config) -> str:
    """Return the kind of the transformers class.

    The kind is ``seq2seq``, ``causal`` (decoder only), ``encoder`` (encoder only) or ``none`` (no head).
    """
    if config.class_name().endswith("EncoderModel"):
        return "encoder"
    config.ignore("is_decoder is_encoder_decoder add_cross_attention num_hidden_layers")
    config.ignore("encoder_layers encoder_attention_heads encoder_ffn_dim max_position_embeddings")
    return config.head_kind("seq2seq", "causal", "none")


def encoder_decoder(config: Config, style: Style, target: int | None = None, *, is_apart: bool = False) -> Architecture:
    """Return the encoder-decoder model, or only the decoder (with unused cross-attention) for causal classes.

    The decoder's table has ``target`` rows (default: as many as the encoder's table). With ``is_apart``, encoder and
    decoder have separate tables, and the head may be tied to that of the decoder.
    """
    kind = class_kind(config)
    tied = config.flag("tie_word_embeddings", True)
    vocab, width = config.vocab, config.size(style.width)
    target = target or vocab
    if kind == "causal":
        table = Embedding(target, width, share=TOKENS if tied else None)
        output = head(target if tied else vocab, width, tied)
        lone = stack(config, style, "decoder", [Named("token", table)], [output], unused_cross=True)
        return Architecture(config.model_type, (lone,))
    if is_apart:
        own = Embedding(target, width, table="other", share=DECODER_TABLE if tied else None)
        tokens = {"encoder": [Named("token", Embedding(vocab, width))], "decoder": [Named("target", own)]}
        output = head(target, width, tied, DECODER_TABLE, buffer_bias=style.buffer_bias)
    else:
        tokens = tied_tokens(vocab, width) if tied else untied_tokens(vocab, width, target)
        output = head(vocab, width, tied, buffer_bias=style.buffer_bias)
    encoder = stack(config, style, "encoder", tokens["encoder"], [])
    outputs = [output] if kind == "seq2seq" else []
    return Architecture(config.model_type, (encoder, stack(config, style, "decoder", tokens["decoder"], outputs)))


def head(vocab: int, width: int, tied: bool, table: str = TOKENS, **fields: Any) -> Named:
    """Return the language-model head, optionally tied to ``table``."""
    return Named("head", Head(vocab, width, share=table if tied else None, **fields))


def tied_tokens(vocab: int, width: int) -> dict[str, list[Named]]:
    """Return a token embedding that both stacks share."""
    return {side: [Named("token", Embedding(vocab, width, share=TOKENS))] for side in SIDES}


def untied_tokens(vocab: int, width: int, decoder_vocab: int | None = None) -> dict[str, list[Named]]:
    """Return one token embedding per stack, and the unused shared table that the transformers class stores."""
    shared = Named("unused", Embedding(vocab, width, unused=True))
    return {
        "encoder": [shared, Named("token", Embedding(vocab, width, table="other"))],
        "decoder": [Named("token", Embedding(decoder_vocab or vocab, width, table="other"))],
    }


def stack(
    config: Config,
    style: Style,
    side: str,
    tokens: Sequence[Named],
    outputs: Sequence[Named],
    *,
    attention: Layer | None = None,
    cross: Layer | None = None,
    unused_cross: bool = False,
    blocks: Sequence[Block] | None = None,
) -> Stack:
    """Return the encoder or decoder stack. ``attention``, ``cross`` and ``blocks`` override the defaults."""
    width = config.size(style.width)
    norm = config.layernorm(width=width)
    inputs = [_scaled_embedding(entry, width) if config.flag("scale_embedding") else entry for entry in tokens]
    inputs += [Named("position", _positions(config, style, width))] if style.positions else []
    inputs += [Named("norm", norm)] if style.embedding_norm else []
    final = [Named("final_norm", norm)] if style.final_norm else []
    if blocks is None:
        mixers = _mixers(config, style, side, unused_cross)
        mixers |= {"attention": attention} if attention else {}
        mixers |= {"cross_attention": cross} if cross else {}
        usual, layers = ("block", dense(config, style, side)), config.size(style.layers.format(side=side))
        feeds = (style.feed(config, side, index) if style.feed else usual for index in range(layers))
        runs = runs_of(feeds, lambda feed: block(config, style, feed[0], {**mixers, "mlp": feed[1]}))
    else:
        runs = group_runs(blocks)
    return Stack(side, width, tuple(inputs), runs, (*final, *outputs), side)


def _positions(config: Config, style: Style, width: int) -> Embedding:
    if not style.computed:
        rows = config.size(style.positions) + style.offset
        return Embedding(rows, width, table="position", offset=style.offset)
    padding = config.count("pad_token_id", 1)
    rows = config.size(style.positions) + padding + 1
    ids, fixed = Ids(padding=padding), FixedTable("fairseq")
    return Embedding(rows, width, table="position", offset=padding + 1, ids=ids, fixed=fixed)


def _scaled_embedding(entry: Named, width: int) -> Named:
    """Scale the output of a token embedding by the square root of ``width``."""
    if entry.name not in ("token", "target") or not isinstance(entry.layer, Embedding):
        return entry
    return Named(entry.name, replace(entry.layer, scale=width**0.5))


def unscaled_embedding(entry: Named) -> Named:
    """Remove the scaling factor of a token embedding."""
    return Named(entry.name, replace(entry.layer, scale=1.0)) if isinstance(entry.layer, Embedding) else entry


def _mixers(config: Config, style: Style, side: str, unused_cross: bool) -> Layers:
    width, heads = config.size(style.width), config.size(style.heads.format(side=side))
    if side == "encoder":
        return {"attention": Attention(width, heads, causal=False, **style.biases)}
    cross = Attention(width, heads, causal=False, cross=Cross(), unused=unused_cross, **style.biases)
    return {"attention": Attention(width, heads, **style.biases), "cross_attention": cross}


def block(config: Config, style: Style, name: str, layers: Mapping[str, Layer]) -> Block:
    """Return a block of the given layers with norms placed according to ``style``."""
    places: Fields = {"pre" if style.pre_norm else "after": config.layernorm(width=config.size(style.width))}
    return Block(name, tuple(sublayer(key, layer, **places) for key, layer in layers.items()))


def dense(config: Config, style: Style, side: str, **changes: Any) -> Mlp:
    """Return the feed-forward layer of the encoder or decoder."""
    width, d_ff = config.size(style.width), config.size(f"{side}_ffn_dim")
    return Mlp(width, d_ff, config.activation(style.activation), bias=True, **changes)


def _side(config: Config, key: str, bare: bool) -> tuple[Architecture, str]:
    from . import find, names

    data = dict(_inner(config, key))
    entry = find(str(data.get("model_type")))
    if entry is None:
        raise UnknownNameError(f"{key} model_type", str(data.get("model_type")), names(), where=config.where)
    data["architectures"] = ["Model" if bare else "ForCausalLM"]
    part = config.nested(key, data, entry.model_type)
    architecture = entry.read(part)
    part.ignore("cross_attention_hidden_size")
    if data.get("is_decoder") is not bare:  # saved for every decoder, even if the class has no such key
        part.ignore("is_decoder")
    part.check_all_read()
    if len(architecture.stacks) > 1:
        raise config.error(f"the {key} must have one stack, not {len(architecture.stacks)}")
    return architecture, architecture.layout or entry.layout


def _inner(config: Config, key: str) -> Fields:
    if config.get(key) is not None:
        return config.mapping(key)
    return {"model_type": "bert"} | ({"is_decoder": True, "add_cross_attention": True} if key == "decoder" else {})


def _as_encoder(layer: Layer) -> Layer:
    """Adapt an encoder layer to a composite model by renaming shared tables and marking pooler outputs as unused."""
    if isinstance(layer, (Embedding, Head)) and layer.share:
        return replace(layer, share=f"encoder_{layer.share}")
    return replace(layer, dropped=True) if isinstance(layer, Linear) and layer.positions == "one" else layer


def _as_decoder(layer: Layer) -> Layer:
    """Adapt a decoder layer to a composite model by separating token embeddings and enabling cross-attention."""
    if isinstance(layer, Embedding) and layer.table == "token":
        return replace(layer, table="other")
    return replace(layer, unused=False) if isinstance(layer, Attention) and layer.cross else layer


def _map_layers(stack: Stack, change: Change) -> Stack:
    """Return the stack with ``change`` applied to every layer."""

    def named(entries: tuple[Named, ...]) -> tuple[Named, ...]:
        return tuple(Named(name, change(layer)) for name, layer in entries)

    def block(old: Block) -> Block:
        branches = (tuple(replace(each, layer=change(each.layer)) for each in part.branches) for part in old.sublayers)
        parts = (replace(part, branches=own) for part, own in zip(old.sublayers, branches, strict=True))
        return Block(old.name, tuple(parts))

    runs = tuple(Run(block(run.block), run.count, run.shared) for run in stack.runs)
    return replace(stack, inputs=named(stack.inputs), runs=runs, outputs=named(stack.outputs))


def t5gemma(config: Config) -> Architecture:
    """Read a T5Gemma config [zhang2025] with Gemma 2 layers in both stacks and cross-attention in the decoder."""
    config.ignore("is_encoder_decoder vocab_size")
    kind, tied = config.head_kind() or "seq2seq", config.flag("tie_word_embeddings", True)
    if kind not in ("seq2seq", "none") or config.class_name().endswith("EncoderModel"):
        raise config.error(f"the class {short_repr(config.class_name())} is not supported")
    sides = {key: config.nested(key, config.mapping(key), "t5_gemma_module") for key in ("encoder", "decoder")}
    stacks = []
    for side, part in sides.items():
        source = None if side == "encoder" else sides["encoder"].d_model
        share = DECODER_TABLE if source and tied and kind == "seq2seq" else None
        table = Embedding(part.vocab, part.d_model, "other" if source else "token", share, scale=part.d_model**0.5)
        outputs = [Named("norm", part.rmsnorm(unit_offset=True))]
        if source and kind == "seq2seq":
            cap = part.number("final_logit_softcapping")
            outputs.append(Named("head", Head(part.vocab, part.d_model, share, softcap=cap)))
        blocks = group_runs(_gemma_blocks(part, source))
        stacks.append(Stack(side, part.d_model, (Named("token", table),), blocks, tuple(outputs), side))
        part.ignore("is_decoder is_encoder_decoder tie_word_embeddings final_logit_softcapping max_position_embeddings")
        part.ignore("cross_attention_hidden_size")
        part.check_all_read()
    return Architecture(config.model_type, tuple(stacks))


def _gemma_blocks(config: Config, source: int | None) -> list[Block]:
    """Return Gemma 2 blocks. In a decoder, ``source`` is the encoder width."""
    norm = config.rmsnorm(unit_offset=True)
    scale = (config.number("query_pre_attn_scalar") or 256.0) ** -0.5
    fields: Fields = {"logit_softcap": config.number("attn_logit_softcapping"), "scale": scale}
    limit = config.sliding_window()
    spans = {"sliding_attention": limit if source or not limit else limit + 1, "full_attention": None}
    kinds: dict[str, Block] = {}
    for kind, span in spans.items():
        own = config.attention(layer_type=kind, window=span, causal=source is not None, **fields)
        parts: Layers = {"attention": own}
        if source:
            parts["cross_attention"] = config.attention(causal=False, cross=Cross(source), rope=None, **fields)
        parts["mlp"] = config.gated_mlp(activation="hidden_activation")
        layers = tuple(sublayer(key, part, pre=norm, post=norm) for key, part in parts.items())
        kinds[kind] = Block("global" if kind == "full_attention" else "local", layers)
    return [kinds[kind] for kind in config.layer_types(config.periodic_types(2, first=1))]

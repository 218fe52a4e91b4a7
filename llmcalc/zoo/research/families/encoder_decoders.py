"""Encoder-decoders with special attention: LED, BigBird-Pegasus, PEGASUS-X, LongT5, ProphetNet and MVP."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import UnknownNameError
from ....core.layer import Layer
from ....importers.hf.config import BIASED, Config, Layers
from ....importers.hf.families.bart import POSITION_OFFSET
from ....importers.hf.families.seq2seq import (
    SIDES,
    Style,
    block,
    class_kind,
    dense,
    encoder_decoder,
    head,
    stack,
    tied_tokens,
    untied_tokens,
)
from ....importers.hf.families.t5 import feed_forward, seq2seq
from ....layers import Attention, Embedding, LogitRows, Norm, Padding, SequenceRows, Sinusoids
from ....layers.parts.cross import Cross
from ....layers.parts.kv import Kv
from ..layers.block_attention import BlockAttention
from ..layers.local_attention import LocalAttention
from ..layers.ngram_attention import NgramAttention
from ..layers.prefix import Prefix
from ..layers.sparse_attention import SparseAttention

PROPHETNET = Style(width="hidden_size", layers="num_{side}_layers", heads="num_{side}_attention_heads")
UNBIASED = dict.fromkeys(("q_bias", "k_bias", "v_bias", "o_bias"), False)


def longt5(config: Config) -> Architecture:
    """Read a LongT5 config [guo2021] with ``local`` or ``transient-global`` attention in the encoder."""
    kinds = ("local", "transient-global")
    kind = config.string("encoder_attention_type")
    if kind not in kinds:
        raise UnknownNameError("encoder_attention_type", kind, kinds, where=config.where)
    summary = config.size("global_block_size")
    encoder = BlockAttention(
        config.size("d_model"),
        config.size("num_heads"),
        config.size("d_kv"),
        config.size("local_radius") + 1,
        reach="beside",
        positions="relative",
        n_buckets=config.size("relative_attention_num_buckets"),
        summary=summary if kind == "transient-global" else None,
        max_distance=config.size("relative_attention_max_distance", 128),
        scale=1.0,
        norm_eps=config.number("layer_norm_epsilon") or 1e-6,
    )
    mlp = feed_forward(config)
    name = "attention" if kind == "local" else "global_attention"
    return seq2seq(config, mlp, tied=True, encoder={name: encoder})


def prophetnet(config: Config) -> Architecture:
    """Read a ProphetNet config [qi2020]. The decoder has one stream for each of the next n tokens."""
    config.ignore("disable_ngram_loss eps num_encoder_layers num_encoder_attention_heads")
    crossed, kind = config.flag("add_cross_attention", True), class_kind(config)
    tied, vocab, width = config.flag("tie_word_embeddings", True), config.vocab, config.d_model
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    inputs = tokens["decoder"]
    if kind == "causal" and not tied:
        unused = Embedding(vocab, width, table="other", unused=True)
        inputs = [Named("unused", unused), Named("token", Embedding(vocab, width))]
    ngram = config.size("ngram")
    inputs = [*inputs, Named("ngram", Embedding(ngram, width, table="other", use="copies"))]
    outputs = [head(vocab, width, tied, sequence=LogitRows(streams=ngram))] if kind != "none" else []
    repeated = block(config, PROPHETNET, "block", _ngram_layers(config, ngram, crossed, unused=kind == "causal"))
    blocks = [repeated] * config.size("num_decoder_layers")
    decoder = _skip_padding(config, stack(config, PROPHETNET, SIDES[1], inputs, outputs, blocks=blocks))
    decoder = _multi_stream(decoder, 1 + ngram)
    if kind == "causal":
        return Architecture(config.model_type, (decoder,))
    encoder = stack(config, PROPHETNET, SIDES[0], tokens["encoder"], [])
    return Architecture(config.model_type, (_skip_padding(config, encoder), decoder))


def _ngram_layers(config: Config, ngram: int, crossed: bool, unused: bool) -> Layers:
    width, heads, streams = config.d_model, config.size("num_decoder_attention_heads"), 1 + ngram
    buckets = config.size("num_buckets"), config.size("relative_max_distance")
    layers: Layers = {"attention": NgramAttention(width, heads, ngram, *buckets)}
    if crossed:
        cross = Attention(width, heads, causal=False, cross=Cross(streams=streams), unused=unused, **BIASED)
        layers["cross_attention"] = cross
    return {**layers, "mlp": dense(config, PROPHETNET, "decoder", sequence=SequenceRows(streams=streams))}


def _multi_stream(found: Stack, streams: int) -> Stack:
    """Return the stack with norms that process all ``streams`` token streams."""

    def wide(layer: Layer | None) -> Layer | None:
        return replace(layer, sequence=SequenceRows(streams=streams)) if isinstance(layer, Norm) else layer

    inputs = tuple(Named(name, wide(layer) or layer) for name, layer in found.inputs)
    (run,) = found.runs
    parts = tuple(replace(part, after=wide(part.after)) for part in run.block.sublayers)
    return replace(found, inputs=inputs, runs=(replace(run, block=replace(run.block, sublayers=parts)),))


def _skip_padding(config: Config, found: Stack) -> Stack:
    """Return the stack with position ids that start after the padding token id. The table size is unchanged."""
    offset = config.count("pad_token_id") + 1
    inputs = (
        Named(name, replace(layer, offset=offset))
        if isinstance(layer, Embedding) and name == "position"
        else Named(name, layer)
        for name, layer in found.inputs
    )
    return replace(found, inputs=tuple(inputs))


def mvp(config: Config) -> Architecture:
    """Read an MVP config [tang2022] as BART. If ``use_prompt`` is set, every decoder layer has a learned prefix.

    The transformers class does not build prompts for the encoder or for a stand-alone decoder.
    """
    style, kind = Style(offset=POSITION_OFFSET), class_kind(config)
    config.ignore("use_prompt prompt_length prompt_mid_dim")
    if kind == "causal" or not config.flag("use_prompt"):
        return encoder_decoder(config, style)
    tied, length = config.flag("tie_word_embeddings", True), config.size("prompt_length")
    vocab, width = config.vocab, config.size("d_model")
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    heads, layers = config.size("decoder_attention_heads"), config.size("decoder_layers")
    prompt = Prefix(width, length, config.size("prompt_mid_dim"), layers)
    own = Attention(width, heads, kv=Kv(prefix=length), **BIASED)
    cross = replace(own, causal=False, cross=Cross())
    inputs = [*tokens["decoder"], Named("self", prompt), Named("cross", prompt)]
    outputs = [head(vocab, width, tied, buffer_bias=True)] if kind == "seq2seq" else []
    decoder = stack(config, style, SIDES[1], inputs, outputs, attention=own, cross=cross)
    return Architecture(config.model_type, (stack(config, style, SIDES[0], tokens["encoder"], []), decoder))


def pegasus_x(config: Config) -> Architecture:
    """Read a PEGASUS-X config [phang2022] with staggered block-local attention and a stream of global tokens."""
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, positions="", biases=UNBIASED)
    kind = class_kind(config)
    tied, vocab, width = config.flag("tie_word_embeddings", True), config.vocab, config.size("d_model")
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    globals_ = Embedding(config.size("num_global_tokens"), width, table="other", use="side_tokens")
    waves = Named("position", Sinusoids(width, "fairseq"))
    inputs = [*tokens["encoder"], waves, Named("global", globals_)]
    encoder = stack(config, style, "encoder", inputs, [], blocks=_staggered(config, style))
    outputs = [head(vocab, width, tied)] if kind == "seq2seq" else []
    decoder = stack(config, style, "decoder", [*tokens["decoder"], waves], outputs)
    return Architecture(config.model_type, (encoder, decoder))


def led(config: Config) -> Architecture:
    """Read an LED config [beltagy2020] as BART with Longformer attention in the encoder."""
    style, kind = Style(positions="max_decoder_position_embeddings"), class_kind(config)
    tied, vocab, width = config.flag("tie_word_embeddings", True), config.vocab, config.size("d_model")
    layers, heads = config.size("encoder_layers"), config.size("encoder_attention_heads")
    windows = config.get("attention_window")
    windows = windows if isinstance(windows, list) else [windows] * layers
    if len(windows) != layers:
        raise config.size_error(f"attention_window must have one entry per layer ({layers}), not {len(windows)}")
    known: dict[int, Block] = {}
    for window in windows:
        attention = LocalAttention(width, heads, window, max(windows))
        mlp = dense(config, style, "encoder", padding=Padding(max(windows)))
        known[window] = known.get(window) or block(config, style, "block", {"attention": attention, "mlp": mlp})
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    source = style._replace(positions="max_encoder_position_embeddings")
    encoder = stack(config, source, "encoder", tokens["encoder"], [], blocks=[known[window] for window in windows])
    outputs = [head(vocab, width, tied, buffer_bias=True)] if kind == "seq2seq" else []
    return Architecture(config.model_type, (encoder, stack(config, style, "decoder", tokens["decoder"], outputs)))


def bigbird_pegasus(config: Config) -> Architecture:
    """Read a BigBird-PEGASUS config [zaheer2020] with sparse encoder attention. Stand-alone decoders are untied."""
    biased, kind = config.flag("use_bias"), class_kind(config)
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, biases=dict.fromkeys(UNBIASED, biased))
    vocab, width, sparse = config.vocab, config.size("d_model"), config.string("attention_type")
    if sparse not in ("block_sparse", "original_full"):
        raise UnknownNameError("attention_type", sparse, ("block_sparse", "original_full"), where=config.where)
    length, n_random = config.size("block_size"), config.size("num_random_blocks")
    tied = config.flag("tie_word_embeddings", True)
    if kind == "causal":
        outputs, table = [head(vocab, width, tied=False)], Named("token", Embedding(vocab, width))
        return Architecture(config.model_type, (stack(config, style, "decoder", [table], outputs, unused_cross=True),))
    blocks = None
    if sparse == "block_sparse":
        attention = SparseAttention(width, config.size("encoder_attention_heads"), length, n_random, biased, biased)
        mlp = dense(config, style, "encoder", padding=Padding(length, attention.limit))
        blocks = [block(config, style, "block", {"attention": attention, "mlp": mlp})] * config.size("encoder_layers")
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    encoder = stack(config, style, "encoder", tokens["encoder"], [], blocks=blocks)
    outputs = [head(vocab, width, tied, buffer_bias=True)] if kind == "seq2seq" else []
    return Architecture(config.model_type, (encoder, stack(config, style, "decoder", tokens["decoder"], outputs)))


def _staggered(config: Config, style: Style) -> list[Block]:
    width, heads, length = config.size("d_model"), config.size("encoder_attention_heads"), config.size("block_size")
    if width % heads:
        raise config.size_error(f"d_model ({width}) is not a multiple of encoder_attention_heads ({heads})")
    n_global, layers = config.size("num_global_tokens"), config.size("encoder_layers")
    shift = config.flag("stagger_local_blocks")
    known: dict[tuple[bool, bool], Block] = {}
    order = []
    for index in range(layers):
        staggered, last = shift and index % 2 == 1, index == layers - 1
        if (staggered, last) not in known:
            attention = BlockAttention(
                width, heads, width // heads, length, n_global=n_global, staggered=staggered, globals_dropped=last
            )
            rows = SequenceRows(n_global=n_global, globals_dropped=last)
            mlp = dense(config, style, "encoder", sequence=rows, padding=Padding(length))
            name = "staggered" if staggered else "block"
            *parts, feed = block(config, style, name, {"attention": attention, "mlp": mlp}).sublayers
            norm = replace(config.layernorm(width=width), sequence=rows)
            known[staggered, last] = Block(name, (*parts, replace(feed, pre=norm)))
        order.append(known[staggered, last])
    return order

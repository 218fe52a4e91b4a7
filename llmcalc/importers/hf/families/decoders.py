"""Text decoders of speech and text recognition, alone or behind their encoder: TrOCR, Whisper; and ProphetNet."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.conv import Conv
from ....layers.embedding import Embedding
from ....layers.norm import Norm
from ....zoo.research.layers.ngram_attention import NgramAttention
from ..config import Config
from ..rules import TOKENS
from .gpt import BIASED
from .seq2seq import SIDES, Style, block, class_kind, dense, head, stack, tied_tokens, unscaled, untied_tokens

OFFSET = 2  # rows before the first position
TAPS = 3  # of Whisper's two convolutions; the second has stride 2
NO_KEY_BIAS = {**BIASED, "k_bias": False}


def trocr(config: Config) -> Architecture:
    """TrOCR's decoder [li2021trocr]: BART's, with computed positions and without the first norm where it says so."""
    learned, normed = config.flag("use_learned_position_embeddings"), config.flag("layernorm_embedding")
    config.ignore("is_decoder is_encoder_decoder add_cross_attention max_position_embeddings")
    config.head_kind()
    style = Style(embedding_norm=normed, offset=OFFSET if learned else 0, computed=not learned)
    vocab, width, heads = config.size("vocab_size"), config.size("d_model"), config.size("decoder_attention_heads")
    tied, source = config.flag("tie_word_embeddings", True), config.optional_size("cross_attention_hidden_size")
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    cross = Attention(width, heads, causal=False, cross=True, d_source=source, unused=True, **BIASED)
    outputs = [head(vocab, width, tied)]
    return Architecture(config.model_type, (stack(config, style, "decoder", [table], outputs, cross=cross),))


def whisper(config: Config) -> Architecture:
    """Whisper [radford2022]: two convolutions before the encoder; its tokens are ``max_source_positions`` frames."""
    config.ignore(
        "use_weighted_layer_sum classifier_proj_size apply_spec_augment median_filter_width num_key_value_heads"
    )
    config.ignore("mask_time_prob mask_time_length mask_time_min_masks mask_feature_prob mask_feature_length")
    config.ignore("mask_feature_min_masks num_mel_bins max_source_positions")
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, biases=NO_KEY_BIAS)
    kind = class_kind(config)
    vocab, width, tied = config.size("vocab_size"), config.size("d_model"), config.flag("tie_word_embeddings", True)
    text = style._replace(positions="max_target_positions")
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    outputs = [] if kind == "none" else [head(vocab, width, tied)]
    decoder = stack(config, text, "decoder", [table], outputs, unused_cross=kind == "causal")
    decoder = replace(decoder, inputs=tuple(map(unscaled, decoder.inputs)))  # whatever scale_embedding says
    if kind == "causal":
        return Architecture(config.model_type, (decoder,))
    first = Conv(config.size("num_mel_bins"), width, TAPS, upsample=2, activation="gelu", of_data=True)
    front = [Named("conv1", first), Named("conv2", Conv(width, width, TAPS, stride=2, activation="gelu"))]
    audio = style._replace(positions="max_source_positions")
    return Architecture(config.model_type, (stack(config, audio, "encoder", front, []), decoder))


PROPHETNET = Style(width="hidden_size", layers="num_{side}_layers", heads="num_{side}_attention_heads")


def prophetnet(config: Config) -> Architecture:
    """ProphetNet [qi2020]: a post-norm decoder that predicts the next n tokens, each by a stream of its own."""
    config.ignore("disable_ngram_loss eps num_encoder_layers num_encoder_attention_heads")
    crossed, kind = config.flag("add_cross_attention", True), class_kind(config)
    tied, vocab, width = config.flag("tie_word_embeddings", True), config.size("vocab_size"), config.size("hidden_size")
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    inputs = tokens["decoder"]
    if kind == "causal" and not tied:
        unused = Embedding(vocab, width, table="other", unused=True)
        inputs = [Named("unused", unused), Named("token", Embedding(vocab, width))]
    ngram = config.size("ngram")
    inputs = [*inputs, Named("ngram", Embedding(ngram, width, table="other", use="copies"))]
    outputs = [head(vocab, width, tied, streams=ngram)] if kind != "none" else []
    layers = _ngram_layers(config, ngram, crossed, unused=kind == "causal")
    repeated = block(config, PROPHETNET, "block", layers)
    blocks = [repeated] * config.size("num_decoder_layers")
    decoder = _behind_padding(config, stack(config, PROPHETNET, SIDES[1], inputs, outputs, blocks=blocks))
    decoder = _streamed(decoder, 1 + ngram)
    if kind == "causal":
        return Architecture(config.model_type, (decoder,))
    encoder = stack(config, PROPHETNET, SIDES[0], tokens["encoder"], [])
    return Architecture(config.model_type, (_behind_padding(config, encoder), decoder))


def _behind_padding(config: Config, found: Stack) -> Stack:
    """The stack with positions that begin behind the padding token's id; the table has no more rows for that."""
    offset = config.count("pad_token_id") + 1
    inputs = (
        Named(name, replace(layer, offset=offset))
        if isinstance(layer, Embedding) and name == "position"
        else Named(name, layer)
        for name, layer in found.inputs
    )
    return replace(found, inputs=tuple(inputs))


def _streamed(found: Stack, streams: int) -> Stack:
    """The stack with norms that run on all copies of the tokens."""

    def wide(layer: Layer | None) -> Layer | None:
        return replace(layer, streams=streams) if isinstance(layer, Norm) else layer

    inputs = tuple(Named(name, wide(layer) or layer) for name, layer in found.inputs)
    (run,) = found.runs
    parts = tuple(replace(part, after=wide(part.after)) for part in run.block.sublayers)
    return replace(found, inputs=inputs, runs=(replace(run, block=replace(run.block, sublayers=parts)),))


def _ngram_layers(config: Config, ngram: int, crossed: bool, unused: bool) -> dict[str, Layer]:
    width, heads, streams = config.size("hidden_size"), config.size("num_decoder_attention_heads"), 1 + ngram
    buckets = config.size("num_buckets"), config.size("relative_max_distance")
    layers: dict[str, Layer] = {"attention": NgramAttention(width, heads, ngram, *buckets)}
    if crossed:
        cross = Attention(width, heads, causal=False, cross=True, streams=streams, unused=unused, **BIASED)
        layers["cross_attention"] = cross
    return {**layers, "mlp": dense(config, PROPHETNET, "decoder", streams=streams)}

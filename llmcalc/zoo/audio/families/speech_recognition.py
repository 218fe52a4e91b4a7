"""Speech and formula recognition: a decoder of text behind an encoder of sound or of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named, Stack
from ....core.errors import DescriptionError, SizeError, shown
from ....core.layer import Layer
from ....importers.hf.composite_models import given, plain
from ....importers.hf.config import Config
from ....importers.hf.families.gpt import BIASED
from ....importers.hf.families.seq2seq import Style, class_kind, head, stack
from ....importers.hf.rules import TOKENS, default_layernorm, prenorm_block, repeat_block, rope_attention, rotary_width
from ....layers.attention import Attention
from ....layers.conv import Conv
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.scale import Scale
from ..audio_encoders import fast_conformer as parakeet

NOTHING: Mapping[str, Any] = {}
OFFSET = 2  # rows before the first position
STRIDE = 2  # of every convolution of Speech2Text
ROTATED = 0.9  # share of a head, of Moonshine


def speech_to_text(config: Config) -> Architecture:
    """Speech2Text [wang2020s2t]: gated convolutions of stride 2 before the encoder; computed positions."""
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, computed=True, buffer_bias=False)
    kind = class_kind(config)
    config.ignore("num_conv_layers")
    vocab, width, tied = config.size("vocab_size"), config.size("d_model"), config.flag("tie_word_embeddings", True)
    kernels = config.layer_indices("conv_kernel_sizes")
    if len(kernels) != config.size("num_conv_layers"):
        said = f"conv_kernel_sizes has {len(kernels)} entries for {config.get('num_conv_layers')} layers"
        raise SizeError(said, where=config.where)
    entering, between = (
        config.size("input_feat_per_channel") * config.size("input_channels"),
        config.size("conv_channels"),
    )
    front = []
    for number, taps in enumerate(kernels):
        last = number == len(kernels) - 1
        inner, outer = entering if number == 0 else between // 2, 2 * width if last else between
        rate = STRIDE ** (len(kernels) - 1 - number)
        layer = Conv(
            inner, outer, config.integer(taps, "conv_kernel_sizes", 1), rate, STRIDE, gated=True, of_data=number == 0
        )
        front.append(Named(f"conv{number}", layer))
    if config.flag("scale_embedding"):
        front.append(Named("scale", Scale(width, factor=width**0.5)))
    encoder = stack(config, style._replace(positions="max_source_positions"), "encoder", front, [])
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    outputs = [head(vocab, width, tied)] if kind == "seq2seq" else []
    decoder = stack(config, style._replace(positions="max_target_positions"), "decoder", [table], outputs)
    return Architecture(config.model_type, (encoder, decoder))


def moonshine(config: Config) -> Architecture:
    """Moonshine [jeffries2024]: three convolutions of the sound itself, rotated positions, a gated decoder."""
    kind, width = config.head_kind() or "seq2seq", config.size("hidden_size")
    config.ignore("is_encoder_decoder max_position_embeddings num_attention_heads num_key_value_heads head_dim")
    config.ignore("decoder_num_attention_heads decoder_num_key_value_heads")  # the class takes the encoder's
    heads = config.size("encoder_num_attention_heads")
    config.override("num_attention_heads", heads)
    biased = config.flag("attention_bias")
    fields = {"n_heads": heads, "n_kv_heads": config.optional_size("encoder_num_key_value_heads") or heads}
    fields |= {"o_bias": False, "rope_interleaved": True, "rotary_dim": rotary_width(config, ROTATED)}
    own = rope_attention(config, bias=biased, **fields)  # type: ignore[arg-type]
    norm, tied, vocab = (
        Norm(width, "layernorm", eps=1e-5),
        config.flag("tie_word_embeddings", True),
        config.size("vocab_size"),
    )
    d_ff, act = config.size("intermediate_size"), config.activation("encoder_hidden_act")
    seeing: dict[str, Layer] = {"attention": replace(own, causal=False), "mlp": Mlp(width, d_ff, act, bias=True)}
    blocks = repeat_block(prenorm_block("block", norm, **seeing), config.size("encoder_num_hidden_layers"))
    encoder = Stack("encoder", width, _waves(width), blocks, (Named("norm", norm),), "encoder")
    gated = Mlp(width, d_ff, config.activation("decoder_hidden_act"), gated=True, bias=True)
    cross = replace(own, causal=False, cross=True, positions="none")
    telling: dict[str, Layer] = {"attention": own, "cross_attention": cross, "mlp": gated}
    blocks = repeat_block(prenorm_block("block", norm, **telling), config.size("decoder_num_hidden_layers"))
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    outputs = [Named("norm", norm), *([head(vocab, width, tied)] if kind == "seq2seq" else [])]
    decoder = Stack("decoder", width, (table,), blocks, tuple(outputs))
    notes = (_PADDED,) if config.optional_size("pad_head_dim_to_multiple_of") else ()
    return Architecture(config.model_type, (encoder, decoder), notes=notes)


_PADDED = "its class fills heads up with zeros before it compares them; that work is not counted"


def _waves(width: int) -> tuple[Named, ...]:
    """Convolutions of strides 64, 3 and 2 without padding: each must reach as far as the taps of the next do."""
    sound = Conv(1, width, 127, 6, 64, 7, padded=False, bias=False, activation="tanh", normed=True, of_data=True)
    return (
        Named("conv1", sound),
        Named("conv2", Conv(width, 2 * width, 7, 2, 3, 1, padded=False, activation="gelu")),
        Named("conv3", Conv(2 * width, width, 3, 1, 2, padded=False, activation="gelu")),
    )


def cohere_asr(config: Config) -> Architecture:
    """Cohere's transcriber: a decoder of learned positions, which a projection brings the encoder's output to."""
    width = config.size("hidden_size")
    encoder = _fast_conformer(config, config.defaults["encoder_config"])
    brought = Named("proj", Linear(encoder.d_model, width, recomputed_per_step=True))
    rows = Embedding(config.size("max_position_embeddings"), width, "position")
    return _transcriber(config, config, rows, replace(encoder, outputs=(brought,)))


def canary(config: Config) -> Architecture:
    """Canary: a decoder of computed positions behind a FastConformer."""
    config.ignore("vocab_size")
    part = config.nested("decoder_config", plain(config, "decoder_config"), "canary_decoder")
    rows, width = part.size("max_position_embeddings"), part.size("hidden_size")
    encoder = _fast_conformer(config)
    if encoder.d_model != width:
        said = f"{width} wide, the decoder cannot look at an encoder {encoder.d_model} wide"
        raise SizeError(said, where=config.where)
    found = _transcriber(config, part, Embedding(rows, width, "position", learned=False, sinusoids="halves"), encoder)
    part.check_all_read()
    return found


def _fast_conformer(whole: Config, usual: Mapping[str, Any] = NOTHING) -> Stack:
    """The encoder, whose tokens are what its convolutions leave of the frames; ``usual``: what a class fills in."""
    data = {**usual, **given(whole, "encoder_config")}
    config = whole.nested("encoder_config", data, "parakeet_encoder")
    inputs, runs = parakeet.front(config, tower=False), parakeet.blocks(config)
    config.ignore("is_encoder_decoder tie_word_embeddings")
    config.check_all_read()
    whole.unmodelled += config.unmodelled
    return Stack("encoder", config.size("hidden_size"), inputs, runs, (), "encoder")


def _transcriber(whole: Config, config: Config, positions: Embedding, encoder: Stack) -> Architecture:
    """A pre-norm decoder behind a FastConformer."""
    whole.ignore("is_encoder_decoder")
    config.ignore("is_encoder_decoder tie_word_embeddings")
    kind, tied = whole.head_kind() or "seq2seq", whole.flag("tie_word_embeddings", True)
    if kind not in ("seq2seq", "none"):
        raise DescriptionError(f"a head of kind {shown(kind)} is not understood", where=whole.where)
    width, vocab, norm = (
        config.size("hidden_size"),
        config.size("vocab_size"),
        default_layernorm(config.size("hidden_size")),
    )
    own = rope_attention(config, positions="none")
    layers: dict[str, Layer] = {
        "attention": own,
        "cross_attention": replace(own, causal=False, cross=True),
        "mlp": Mlp(width, config.size("intermediate_size"), config.activation(), bias=True),
    }
    token = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    inputs = (token, Named("position", positions), Named("embedding_norm", norm))
    output = Named("head", Head(vocab, width, TOKENS if tied else None, bias=True))
    outputs = (Named("norm", norm), *((output,) if kind == "seq2seq" else ()))
    blocks = repeat_block(prenorm_block("block", norm, **layers), config.size("num_hidden_layers"))
    return Architecture(whole.model_type, (encoder, Stack("decoder", width, inputs, blocks, outputs)))


def pp_formulanet(config: Config) -> Architecture:
    """PP-FormulaNet's decoder [liu2025formula]: mBART's; its head is never tied."""
    kind = "" if config.get("architectures") is None else config.head_kind()
    config.ignore("is_encoder_decoder encoder_layers encoder_attention_heads tie_word_embeddings")
    vocab, width, heads = config.size("vocab_size"), config.size("d_model"), config.size("decoder_attention_heads")
    cross = Attention(width, heads, causal=False, cross=True, unused=True, **BIASED)
    style = Style(pre_norm=True, final_norm=True, offset=OFFSET)
    table = Named("token", Embedding(vocab, width))
    outputs = [] if kind == "none" else [head(vocab, width, tied=False)]
    return Architecture(config.model_type, (stack(config, style, "decoder", [table], outputs, cross=cross),))

"""MusicGen [copet2023], a decoder over tokens of several codebooks, with or without T5's encoder."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....core.errors import UnsupportedError, short_repr
from ....importers.hf.composite_models import config_at, nested_config
from ....importers.hf.config import Config, Layers
from ....importers.hf.family_table import find
from ....importers.hf.rules import default_layernorm, prenorm_block, repeat_block
from ....layers import Attention, Embedding, FixedTable, Head, Linear, Mlp
from ....layers.parts.cross import Cross
from ...unexecuted_parts import AUDIO_CODEC_NOTE, read_parts

TEXT_ENCODERS = ("t5", "mt5", "umt5")


def decoder(config: Config) -> Architecture:
    """Build MusicGen's decoder without an encoder, with cross-attention that is stored but not run."""
    return Architecture(config.model_type, (_stack(config, replace(_cross_attention(config), unused=True)),))


def melody_decoder(config: Config) -> Architecture:
    """Build MusicGen Melody's decoder, which has no cross-attention and reads the text as a prefix."""
    return Architecture(config.model_type, (_stack(config, None),))


def musicgen(config: Config) -> Architecture:
    """Build MusicGen with the text encoder, the decoder, and a projection if their widths differ."""
    config.get("architectures")
    config.ignore("is_encoder_decoder tie_word_embeddings")
    text = {"model_type": TEXT_ENCODERS[0], **config_at(config, "text_encoder")}
    if text["model_type"] not in TEXT_ENCODERS:
        said = f"a text_encoder of type {short_repr(text['model_type'])} is not supported in MusicGen"
        raise UnsupportedError(said, where=config.where)
    entry = find(str(text["model_type"]))
    assert entry is not None
    inner = config.nested("text_encoder", {**text, "architectures": ["EncoderModel"]}, entry.model_type)
    stack = entry.read(inner).main
    inner.check_all_read()
    config.unmodelled += inner.unmodelled
    encoder = stack
    part = nested_config(config, "decoder", "musicgen_decoder")
    found = _stack(part, _cross_attention(part), table="other")
    part.check_all_read()
    if encoder.d_model != found.d_model:
        if part.get("cross_attention_hidden_size") is not None:
            said = f"the decoder has width {found.d_model}, but the encoder has width {encoder.d_model}"
            raise config.size_error(f"{said}, and cross_attention_hidden_size disables the projection")
        projection = Named("enc_to_dec_proj", Linear(encoder.d_model, found.d_model, recomputed_per_step=True))
        encoder = replace(encoder, outputs=(*encoder.outputs, projection))
    config.unmodelled += part.unmodelled
    sound = {"model_type": "encodec", **config_at(config, "audio_encoder")}
    codec = read_parts(config.nested("audio_encoder", sound, str(sound["model_type"])), "audio_encoder")
    return Architecture(config.model_type, (encoder, found, *codec), notes=(AUDIO_CODEC_NOTE,))


def _cross_attention(config: Config) -> Attention:
    """Return the cross-attention to the text encoder."""
    return Attention(config.d_model, config.n_heads, causal=False, cross=Cross())


def _stack(config: Config, cross: Attention | None, table: str = "token") -> Stack:
    """Return the decoder stack, with or without cross-attention."""
    config.ignore("audio_channels is_decoder add_cross_attention cross_attention_hidden_size")
    config.ignore("tie_word_embeddings max_position_embeddings")  # never tied; positions are computed
    codebooks, rows = config.size("num_codebooks"), config.size("max_position_embeddings")
    layers: Layers = {"attention": Attention(config.d_model, config.n_heads)}
    if cross is not None:
        layers["cross_attention"] = cross
    layers["mlp"] = Mlp(config.d_model, config.size("ffn_dim"), config.activation("activation_function"))
    norm = default_layernorm(config.d_model)
    inputs = (
        Named("token", Embedding(config.vocab + 1, config.d_model, table, codebooks=codebooks)),
        Named("position", Embedding(rows, config.d_model, "position", fixed=FixedTable("cosines"))),
    )
    head = Named("head", Head(config.vocab, config.d_model, codebooks=codebooks))
    outputs = (Named("final_norm", norm), *(() if config.head_kind() == "none" else (head,)))
    blocks = repeat_block(prenorm_block("block", norm, **layers), config.n_layers)
    return Stack("decoder", config.d_model, inputs, blocks, outputs)

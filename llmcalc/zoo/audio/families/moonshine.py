"""Moonshine and Moonshine Streaming. Only Moonshine Streaming has windowed encoder attention."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import short_repr
from ....importers.hf.composite_models import nested_config
from ....importers.hf.config import TOKENS, Config, Fields, Layers
from ....importers.hf.families.seq2seq import head
from ....importers.hf.rules import group_runs, prenorm_block, repeat_block
from ....layers import Attention, Conv, Embedding, Linear, Mlp, Norm, Scale
from ....layers.parts.cross import Cross

FRAMES, HALVED, TAPS = 4, 2, 5  # number of frames per token, after two convolutions of stride 2 with 5 taps
MILLISECONDS = 1000.0
ROTATED, STREAMING_ROTATED = 0.9, 0.8  # rotated fraction of a head
PADDED = "not counted: the zero padding of each head"


def moonshine(config: Config) -> Architecture:
    """Build Moonshine [jeffries2024] with three waveform convolutions, rotary positions and a gated decoder."""
    config.ignore("is_encoder_decoder max_position_embeddings num_attention_heads num_key_value_heads head_dim")
    config.ignore("decoder_num_attention_heads decoder_num_key_value_heads")  # the class uses the encoder's value
    heads = config.size("encoder_num_attention_heads")
    config.override("num_attention_heads", heads)
    own = _attention(config, ROTATED, config.optional_size("encoder_num_key_value_heads") or heads)
    norm = Norm(config.d_model, "layernorm", eps=1e-5)
    d_ff, act = config.size("intermediate_size"), config.activation("encoder_hidden_act")
    mlp = Mlp(config.d_model, d_ff, act, bias=True)
    block = prenorm_block("block", norm, attention=replace(own, causal=False), mlp=mlp)
    runs = repeat_block(block, config.size("encoder_num_hidden_layers"))
    encoder = Stack("encoder", config.d_model, _convolutions(config.d_model), runs, (Named("norm", norm),), "encoder")
    gated = Mlp(config.d_model, d_ff, config.activation("decoder_hidden_act"), gated=True, bias=True)
    tied = config.flag("tie_word_embeddings", True)
    return _with_decoder(config, encoder, own, gated, config.size("decoder_num_hidden_layers"), tied)


def streaming(config: Config) -> Architecture:
    """Build Moonshine Streaming with Moonshine's decoder and learned positions on the encoder output."""
    width, tied = config.d_model, config.flag("tie_word_embeddings")
    config.ignore("is_encoder_decoder")
    part = nested_config(config, "encoder_config", "moonshine_streaming_encoder")
    encoder = _encoder(part)
    part.check_all_read()
    rows = config.size("max_position_embeddings")
    position = Named("heard_position", Embedding(rows, encoder.d_model, table="position"))
    projection = Named("proj", Linear(encoder.d_model, width, bias=False, recomputed_per_step=True))
    added = (position, projection) if encoder.d_model != width else (position,)
    encoder = replace(encoder, outputs=(*encoder.outputs, *added))
    own = _attention(config, STREAMING_ROTATED, config.size("num_key_value_heads"))
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), gated=True, bias=True)
    return _with_decoder(config, encoder, own, mlp, config.n_layers, tied)


def _attention(config: Config, share: float, n_kv_heads: int) -> Attention:
    biased = config.flag("attention_bias")
    fields: Fields = {"o_bias": False, "rope": {"interleaved": True, "dim": config.rotary_width(share)}}
    return config.attention(bias=biased, n_heads=config.n_heads, n_kv_heads=n_kv_heads, **fields)


def _with_decoder(config: Config, encoder: Stack, own: Attention, mlp: Mlp, layers: int, tied: bool) -> Architecture:
    """Return the encoder-decoder model, with no position encoding in cross-attention."""
    width, vocab, norm = own.d_model, config.vocab, Norm(own.d_model, "layernorm", eps=1e-5)
    cross = replace(own, causal=False, cross=Cross(), rope=None)
    blocks = repeat_block(prenorm_block("block", norm, attention=own, cross_attention=cross, mlp=mlp), layers)
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    has_head = (config.head_kind() or "seq2seq") == "seq2seq"
    outputs = [Named("norm", norm), *([head(vocab, width, tied)] if has_head else [])]
    decoder = Stack("decoder", width, (table,), blocks, tuple(outputs))
    notes = (PADDED,) if config.optional_size("pad_head_dim_to_multiple_of") else ()
    return Architecture(config.model_type, (encoder, decoder), notes=notes)


def _convolutions(width: int) -> tuple[Named, ...]:
    """Return unpadded convolutions with strides of 64, 3 and 2, including extra outputs for later convolutions."""
    sound = Conv(1, width, 127, 6, 64, 7, padded=False, bias=False, activation="tanh", normed=True, of_data=True)
    return (
        Named("conv1", sound),
        Named("conv2", Conv(width, 2 * width, 7, 2, 3, 1, padded=False, activation="gelu")),
        Named("conv3", Conv(2 * width, width, 3, 1, 2, padded=False, activation="gelu")),
    )


def _encoder(config: Config) -> Stack:
    config.ignore("max_position_embeddings is_encoder_decoder tie_word_embeddings")
    values = round(config.size("sample_rate") * config.positive_number("frame_ms") / MILLISECONDS)
    norm = Norm(config.d_model, "layernorm", eps=1e-5, unit_offset=True)
    mlp = Mlp(config.d_model, config.size("intermediate_size"), config.activation(), bias=True)
    bias, keys = config.flag("attention_bias"), config.optional_size("num_key_value_heads")
    fields: Fields = dict.fromkeys(("q_bias", "k_bias", "v_bias", "o_bias"), bias)
    known: dict[tuple[int, int], Block] = {}
    order = _windows(config)
    for behind, ahead in order:
        around = {"window": behind, "window_ahead": ahead, **fields}
        head = config.optional_size("head_dim") or config.d_model // config.n_heads
        attention = Attention(config.d_model, config.n_heads, keys, head, causal=False, **around)
        layers: Layers = {"attention": attention, "mlp": mlp}
        known.setdefault((behind, ahead), prenorm_block(f"sees_{behind}_{ahead}", norm, **layers))
    inputs = (
        Named("compressed", Scale(FRAMES * values, scalar=True)),
        Named("frame", Linear(values, config.d_model, bias=False, activation="silu", upsample=FRAMES)),
        Named("conv1", Conv(config.d_model, 2 * config.d_model, TAPS, upsample=HALVED, activation="silu")),
        Named("conv2", Conv(2 * config.d_model, config.d_model, TAPS)),
    )
    runs = group_runs(known[window] for window in order)
    return Stack("encoder", config.d_model, inputs, runs, (Named("final_norm", norm),), "encoder")


def _windows(config: Config) -> list[tuple[int, int]]:
    """Return each layer's window sizes before and after a token. Both sizes include the token itself."""
    layers, windows = config.n_layers, config.get("sliding_windows")
    if not isinstance(windows, list) or len(windows) < layers:
        raise config.size_error(f"sliding_windows must have two numbers per layer, not {short_repr(windows)}")
    found = []
    for window in windows[:layers]:
        if not isinstance(window, list) or len(window) != HALVED:
            raise config.size_error(f"each entry of sliding_windows must be two numbers, not {short_repr(window)}")
        behind, ahead = (config.integer(side, "sliding_windows", 0) for side in window)
        found.append((max(1, behind), max(1, ahead)))
    return found

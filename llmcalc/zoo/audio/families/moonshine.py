"""Moonshine that hears as it goes: frames of the wave itself, windows, and no positions in the encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import SizeError, shown
from ....core.layer import Layer
from ....importers.hf.composite_models import given
from ....importers.hf.config import Config
from ....importers.hf.families.seq2seq import head
from ....importers.hf.rules import TOKENS, group_runs, prenorm_block, repeat_block, rope_attention, rotary_width
from ....layers.attention import Attention
from ....layers.conv import Conv
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.scale import Scale

FRAMES, HALVED, TAPS = 4, 2, 5  # that become a token, by two convolutions of stride 2 with so many taps
MILLISECONDS = 1000.0
ROTATED = 0.8  # share of a head
PADDED = "its class fills heads up with zeros before it compares them; that work is not counted"


def streaming(config: Config) -> Architecture:
    """The encoder, learned positions on what it gives, and Moonshine's decoder."""
    kind, width, vocab = config.head_kind() or "seq2seq", config.size("hidden_size"), config.size("vocab_size")
    tied = config.flag("tie_word_embeddings")
    config.ignore("is_encoder_decoder")
    part = config.nested("encoder_config", given(config, "encoder_config"), "moonshine_streaming_encoder")
    encoder = _encoder(part)
    part.check_all_read()
    rows = Named("heard_position", Embedding(config.size("max_position_embeddings"), encoder.d_model, table="position"))
    brought = Named("proj", Linear(encoder.d_model, width, bias=False, recomputed_per_step=True))
    moved = (rows, brought) if encoder.d_model != width else (rows,)
    encoder = replace(encoder, outputs=(*encoder.outputs, *moved))
    biased = config.flag("attention_bias")
    keys = config.size("num_key_value_heads")
    fields: dict[str, Any] = {"o_bias": False, "rope_interleaved": True, "rotary_dim": rotary_width(config, ROTATED)}
    own = rope_attention(config, bias=biased, n_kv_heads=keys, **fields)
    norm = Norm(width, "layernorm", eps=1e-5)
    layers: dict[str, Layer] = {
        "attention": own,
        "cross_attention": replace(own, causal=False, cross=True, positions="none"),
        "mlp": Mlp(width, config.size("intermediate_size"), config.activation(), gated=True, bias=True),
    }
    blocks = repeat_block(prenorm_block("block", norm, **layers), config.size("num_hidden_layers"))
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    outputs = [Named("norm", norm), *([head(vocab, width, tied)] if kind == "seq2seq" else [])]
    decoder = Stack("decoder", width, (table,), blocks, tuple(outputs))
    notes = (PADDED,) if config.optional_size("pad_head_dim_to_multiple_of") else ()
    return Architecture(config.model_type, (encoder, decoder), notes=notes)


def _encoder(config: Config) -> Stack:
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    config.ignore("max_position_embeddings attention_dropout is_encoder_decoder tie_word_embeddings")
    values = round(config.size("sample_rate") * config.positive_number("frame_ms") / MILLISECONDS)
    norm = Norm(width, "layernorm", eps=1e-5, unit_offset=True)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True)
    bias, keys = config.flag("attention_bias"), config.optional_size("num_key_value_heads")
    fields: dict[str, Any] = dict.fromkeys(("q_bias", "k_bias", "v_bias", "o_bias"), bias)
    known: dict[tuple[int, int], Block] = {}
    order = _windows(config)
    for behind, ahead in order:
        attention = Attention(width, heads, keys, config.optional_size("head_dim"), causal=False, window=behind,
                              window_ahead=ahead, **fields)  # fmt: skip
        layers: dict[str, Layer] = {"attention": attention, "mlp": mlp}
        known.setdefault((behind, ahead), prenorm_block(f"sees_{behind}_{ahead}", norm, **layers))
    inputs = (
        Named("compressed", Scale(FRAMES * values, lone=True)),
        Named("frame", Linear(values, width, bias=False, activation="silu", upsample=FRAMES)),
        Named("conv1", Conv(width, 2 * width, TAPS, upsample=HALVED, activation="silu")),
        Named("conv2", Conv(2 * width, width, TAPS)),
    )
    runs = group_runs(known[window] for window in order)
    return Stack("encoder", width, inputs, runs, (Named("final_norm", norm),), "encoder")


def _windows(config: Config) -> list[tuple[int, int]]:
    """Of each layer, how many tokens it sees on either side, each time with the token itself."""
    layers, windows = config.size("num_hidden_layers"), config.get("sliding_windows")
    if not isinstance(windows, list) or len(windows) < layers:
        raise SizeError(f"sliding_windows is {shown(windows)}; it has two numbers for each layer", where=config.where)
    found = []
    for window in windows[:layers]:
        if not isinstance(window, list) or len(window) != HALVED:
            raise SizeError(f"sliding_windows has {shown(window)}; each is two numbers", where=config.where)
        behind, ahead = (config.integer(side, "sliding_windows", 0) for side in window)
        found.append((max(1, behind), max(1, ahead)))
    return found

"""The Perceiver IO text model. Latent vectors attend to the tokens and to each other before decoding."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack, Sublayer
from ....core.errors import UnsupportedError
from ....importers.hf.config import TOKENS, Config
from ....importers.hf.rules import sublayer
from ....layers import Embedding, Head, LogitRows, Mlp, Norm, SequenceRows
from ..layers.latent_attention import LatentAttention

DECODER_HEADS, DECODER_HEAD = 8, 32  # fixed for the language model
ELSEWHERE = """
    image_size train_size num_frames audio_samples_per_frame samples_per_patch output_shape output_num_channels
    _label_trainable_num_channels is_encoder_decoder tie_word_embeddings
"""


def perceiver(config: Config) -> Architecture:
    """Read a Perceiver IO config [jaegle2021b]. Logits are always computed for all positions."""
    if (config.head_kind() or "mlm") != "mlm":
        raise UnsupportedError("only the masked language model is supported", where=config.where)
    config.ignore(ELSEWHERE)
    width, latent, count = config.size("d_model"), config.size("d_latents"), config.size("num_latents")
    rows, vocab = config.size("max_position_embeddings"), config.vocab
    inputs = (
        Named("token", Embedding(vocab, width, table="other", share=TOKENS)),  # in the class, the input is the latents
        Named("position", Embedding(rows, width, table="position")),
        Named("latents", Embedding(count, latent, table="other", use="array")),
        Named("output_position", Embedding(rows, width, table="position", use="array")),
    )
    shape = config.string("cross_attention_shape_for_attention")
    if shape not in ("q", "kv"):
        raise config.invalid("cross_attention_shape_for_attention", "q or kv", shape)
    read_qk = config.optional_size("qk_channels") or (latent if shape == "q" else width)
    heads = config.size("num_cross_attention_heads")
    added = config.flag("use_query_residual")
    read_v = config.optional_size("v_channels") or read_qk
    read = LatentAttention(latent, width, heads, read_qk, read_v, count, query_residual=added)
    write = LatentAttention(width, latent, DECODER_HEADS, DECODER_HEADS * DECODER_HEAD, width, rows, count)
    runs = (
        Run(Block("read", _layer(config, read, config.size("cross_attention_widening_factor"), "read")), 1),
        Run(Block("think", _self_attends(config, latent, count)), config.size("num_blocks"), shared=True),
        Run(Block("write", _layer(config, write, 1, "write")), 1),
    )
    head = Head(vocab, width, TOKENS, bias=True, sequence=LogitRows(rows))
    return Architecture(config.model_type, (Stack("encoder", width, inputs, runs, (Named("head", head),), "encoder"),))


def _self_attends(config: Config, latent: int, count: int) -> tuple[Sublayer, ...]:
    d_qk = config.optional_size("qk_channels") or latent
    d_v = config.optional_size("v_channels") or d_qk
    heads = config.size("num_self_attention_heads")
    attention = LatentAttention(latent, latent, heads, d_qk, d_v, count, reads_itself=True, d_out=d_v)
    factor = config.size("self_attention_widening_factor")
    layers = range(config.repeats("num_self_attends_per_block"))
    return tuple(part for index in layers for part in _layer(config, attention, factor, "think", str(index)))


def _layer(
    config: Config, attention: LatentAttention, factor: int, name: str, number: str = ""
) -> tuple[Sublayer, Sublayer]:
    width = attention.d_model
    rows = SequenceRows(n_positions=attention.n_queries)
    mlp = Mlp(width, factor * width, config.activation(), bias=True, sequence=rows)
    norm = Norm(width, "layernorm", bias=True, sequence=rows)
    mixer = replace(sublayer(f"{name}{number}", attention), residual=attention.reads_itself)
    return mixer, sublayer(f"{name}_mlp{number}", mlp, pre=norm)

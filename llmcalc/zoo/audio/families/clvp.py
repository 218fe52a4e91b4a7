"""Encoders, decoder and composite model of CLVP [betker2023], which compares text with speech."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf.composite_models import config_at, nested_config
from ....importers.hf.config import BIASED, Config, Fields
from ....importers.hf.families.bert import encoder_model
from ....importers.hf.rules import default_layernorm, prenorm_block, repeat_block
from ....layers import Attention, Embedding, Head, Linear, Mlp, Rope
from ....layers.parts.kv import Kv
from ...unexecuted_parts import list_parts

CLVP_LEAST = 32  # minimum number of rotated channels per head
GROWTH = 4  # default hidden width of the feed-forward layers, relative to the stream width
NOTE = "stored but not counted in FLOPs: the ranking encoders and the conditioning encoder"
_IGNORED = """
    max_text_tokens num_mel_attn_blocks feature_size summary_type summary_use_proj summary_activation
    summary_proj_to_labels summary_first_dropout decoder_fixing_codes initializer_factor initializer_range
    is_encoder_decoder is_decoder add_cross_attention tie_word_embeddings
"""
SIDES = ("text", "speech")
BARE_DECODER = "ClvpDecoder"  # a class whose tensor names have no prefix
_QKV = ("q_bias", "k_bias", "v_bias")


def text_encoder(config: Config) -> Architecture:
    """Build a CLVP text or speech encoder [betker2023] that rotates the values and projects the mean token vector."""
    config.override("architectures", ["Model"])  # the only class
    config.add_unmodelled("the projection is applied to the mean over all tokens")
    width, heads, out = (config.size(key) for key in ("hidden_size", "num_attention_heads", "projection_dim"))
    if config.one_of("summary_type", "mean", "first", "last") != "mean":
        raise config.error("summary_type must be 'mean'")
    turns: Fields = {}
    if config.flag("use_rotary_embedding", True):
        turns = {"rope": Rope(dim=max(out // (2 * heads), CLVP_LEAST)), "kv": Kv(rope=True)}
    biases: Fields = {**dict.fromkeys(BIASED, config.flag("use_attention_bias")), "o_bias": True}
    norm, last = config.rmsnorm("layer_norm_eps", width=width), config.layernorm(width=width)
    attention = Attention(width, heads, causal=False, **turns, **biases)
    block = prenorm_block("block", norm, attention=attention, mlp=config.gated_mlp(bias=True))
    runs, projection = repeat_block(block, config.n_layers), Linear(width, out, False, positions="one")
    token = Named("token", Embedding(config.vocab, width))
    outputs = (Named("final_norm", last), Named("projection", projection))
    return encoder_model(config, Stack("encoder", width, (token,), runs, outputs, "encoder"), [])


def decoder(config: Config) -> Architecture:
    """Build CLVP's decoder with GPT-2 blocks, a second norm before the head, and untied embeddings."""
    alone = config.class_name() == BARE_DECODER
    if alone:
        config.override("architectures", ["Model"])
    bare = config.head_kind() == "none"
    config.ignore(_IGNORED)
    width, vocab = config.d_model, config.vocab
    own, biases = config.layernorm("layer_norm_epsilon"), config.flag("use_attention_bias", True)
    attention = Attention(width, config.n_heads, **{**BIASED, **dict.fromkeys(_QKV, biases)})
    d_ff = config.optional_size("n_inner") or GROWTH * width
    mlp = Mlp(width, d_ff, config.activation("activation_function"), bias=True)
    block = prenorm_block("block", own, attention=attention, mlp=mlp)
    inputs = (
        Named("token", Embedding(vocab, width)),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    )
    head = (Named("final_norm", default_layernorm(width)), Named("head", Head(vocab, width, bias=True)))
    outputs = (Named("norm", own), *(() if bare else head))
    stack = Stack("decoder", width, inputs, repeat_block(block, config.n_layers), outputs)
    return Architecture(config.model_type, (stack,), layout="clvp_decoder_alone" if alone else "")


def whole(config: Config) -> Architecture:
    """Build CLVP with a decoder, a conditioning encoder, and text and speech encoders whose outputs are compared."""
    config.override("architectures", None)
    inner_decoder = nested_config(config, "decoder_config", "clvp_decoder")
    found = decoder(inner_decoder)
    sides = {
        side: config.nested(f"{side}_config", config_at(config, f"{side}_config"), "clvp_encoder") for side in SIDES
    }
    encoders = [_unexecuted(text_encoder(inner).main, f"{side}_encoder_model") for side, inner in sides.items()]
    for inner in sides.values():
        inner.check_all_read()
    parts = list_parts(inner_decoder, "", "clvp_decoder", text_vocab_size=sides[SIDES[0]].vocab)
    inner_decoder.check_all_read()
    config.ignore("projection_dim logit_scale_init_value is_encoder_decoder tie_word_embeddings")
    return replace(found, stacks=(*found.stacks, *encoders, *parts), notes=(*found.notes, NOTE))


def _unexecuted(stack: Stack, name: str) -> Stack:
    """Return an encoder as a stack that is stored but not run."""
    inputs = (
        Named(entry.name, replace(entry.layer, table="other")) if isinstance(entry.layer, Embedding) else entry
        for entry in stack.inputs
    )
    return replace(stack, name=name, role="tower", unused=True, inputs=tuple(inputs))

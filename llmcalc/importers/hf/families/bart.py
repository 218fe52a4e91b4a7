"""BART and the many families that differ from it in the places of norms and in positions."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....zoo.research.layers.prefix import Prefix
from ..config import Config
from ..rules import TOKENS
from .gpt import BIASED
from .seq2seq import SIDES, Style, class_kind, encoder_decoder, head, stack, tied_tokens, unscaled, untied_tokens

OFFSET = 2  # rows before the first position


def bart(config: Config) -> Architecture:
    """BART [lewis2019] and PLBART: post-norm, learned positions behind two offset rows."""
    return encoder_decoder(config, Style(offset=OFFSET))


def mbart(config: Config) -> Architecture:
    """Multilingual BART [liu2020]: BART with norms before the sub-layers and one behind the last."""
    return encoder_decoder(config, Style(pre_norm=True, final_norm=True, offset=OFFSET))


def pegasus(config: Config) -> Architecture:
    """PEGASUS [zhang2019pegasus] (frozen sinusoids in a table) and Blenderbot (learned positions): pre-norm."""
    config.ignore("encoder_no_repeat_ngram_size")
    return encoder_decoder(config, Style(pre_norm=True, final_norm=True, embedding_norm=False))


def m2m_100(config: Config) -> Architecture:
    """M2M-100 [fan2020] and NLLB: pre-norm, positions computed."""
    return encoder_decoder(
        config, Style(pre_norm=True, final_norm=True, embedding_norm=False, computed=True, buffer_bias=False)
    )


def blenderbot_small(config: Config) -> Architecture:
    """Blenderbot Small: BART without offset rows."""
    built = encoder_decoder(config, Style())
    return replace(built, stacks=tuple(_norm_first(part) if part.role == "decoder" else part for part in built.stacks))


def _norm_first(stack: Stack) -> Stack:
    """A decoder whose norm stands behind the token table, before the positions; the class does not scale that table."""
    inputs = {entry.name: unscaled(entry) for entry in stack.inputs}
    order = [name for name in inputs if name not in ("position", "norm")] + ["norm", "position"]
    return replace(stack, inputs=tuple(inputs[name] for name in order))


def marian(config: Config) -> Architecture:
    """Marian [junczys2018]: post-norm, frozen sinusoids; a table for each language where they are not shared."""
    style, kind = Style(embedding_norm=False), class_kind(config)
    tied, together = config.flag("tie_word_embeddings", True), config.flag("share_encoder_decoder_embeddings", True)
    vocab, width = config.size("vocab_size"), config.size("d_model")
    target = config.optional_size("decoder_vocab_size", zero_is_none=True) or vocab
    if kind == "causal":
        table = Named("token", Embedding(target, width, share=TOKENS if tied else None))
        output = head(target if tied else vocab, width, tied)
        return Architecture(config.model_type, (stack(config, style, "decoder", [table], [output], unused_cross=True),))
    if together:
        tokens = tied_tokens(vocab, width) if tied else untied_tokens(vocab, width, target)
    else:
        own = Embedding(target, width, table="other", share="decoder_embedding" if tied else None)
        tokens = {"encoder": [Named("token", Embedding(vocab, width))], "decoder": [Named("target", own)]}
    rows, shared = (vocab, TOKENS) if together else (target, "decoder_embedding")
    output = head(rows, width, tied, shared, buffer_bias=True)
    encoder = stack(config, style, "encoder", tokens["encoder"], [])
    decoder = stack(config, style, "decoder", tokens["decoder"], [output] if kind == "seq2seq" else [])
    return Architecture(config.model_type, (encoder, decoder))


def mvp(config: Config) -> Architecture:
    """MVP [tang2022]: BART; ``use_prompt`` puts learned keys and values before those of every decoder layer.

    The class builds no prompts for the encoder, nor for a decoder that stands alone.
    """
    style, kind = Style(offset=OFFSET), class_kind(config)
    config.ignore("use_prompt prompt_length prompt_mid_dim")
    if kind == "causal" or not config.flag("use_prompt"):
        return encoder_decoder(config, style)
    tied, length = config.flag("tie_word_embeddings", True), config.size("prompt_length")
    vocab, width = config.size("vocab_size"), config.size("d_model")
    tokens = (tied_tokens if tied else untied_tokens)(vocab, width)
    heads, layers = config.size("decoder_attention_heads"), config.size("decoder_layers")
    prompt = Prefix(width, length, config.size("prompt_mid_dim"), layers)
    own = Attention(width, heads, prefix=length, **BIASED)
    cross = Attention(width, heads, prefix=length, causal=False, cross=True, **BIASED)
    inputs = [*tokens["decoder"], Named("self", prompt), Named("cross", prompt)]
    outputs = [head(vocab, width, tied, buffer_bias=True)] if kind == "seq2seq" else []
    encoder = stack(config, style, SIDES[0], tokens["encoder"], [])
    decoder = stack(config, style, SIDES[1], inputs, outputs, attention=own, cross=cross)
    return Architecture(config.model_type, (encoder, decoder))

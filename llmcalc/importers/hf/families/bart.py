"""BART: post-norm encoder and decoder with learned positions behind two offset rows."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import DescriptionError
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.mlp import Mlp
from ..config import Config
from ..rules import TOKENS, layernorm, repeated, sublayer
from .gpt import BIASED

OFFSET = 2  # rows before the first position


def bart(config: Config) -> Architecture:
    """BART [lewis2019]; as ``BartForCausalLM`` the decoder alone, its cross-attention stored but never run."""
    kind = config.head() or "seq2seq"
    config.ignore("is_decoder is_encoder_decoder add_cross_attention num_hidden_layers")
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("encoder_layers encoder_attention_heads encoder_ffn_dim")  # unread when the decoder stands alone
    decoder = _stack(config, "decoder", tied, headed=kind != "none", lone=kind == "causal")
    if kind == "causal":
        return Architecture(config.model_type, (decoder,))
    if kind not in ("seq2seq", "none"):
        raise DescriptionError(f"a head of kind {kind!r} is not understood", where=config.where)
    return Architecture(config.model_type, (_stack(config, "encoder", tied), decoder))


def _stack(config: Config, side: str, tied: bool, headed: bool = False, lone: bool = False) -> Stack:
    width, vocab = config.size("d_model"), config.size("vocab_size")
    norm = layernorm(config, width, "layer_norm_eps")
    heads = config.size(f"{side}_attention_heads")
    parts = [sublayer("attention", Attention(width, heads, causal=side == "decoder", **BIASED), after=norm)]
    if side == "decoder":
        cross = Attention(width, heads, causal=False, cross=True, unused=lone, **BIASED)
        parts.append(sublayer("cross_attention", cross, after=norm))
    mlp = Mlp(width, config.size(f"{side}_ffn_dim"), config.activation("activation_function"), bias=True)
    parts.append(sublayer("mlp", mlp, after=norm))
    positions = Embedding(config.size("max_position_embeddings") + OFFSET, width, table="position", offset=OFFSET)
    inputs = [*_tokens(vocab, width, side, tied, lone), Named("position", positions), Named("norm", norm)]
    outputs = [Named("head", Head(vocab, width, share=TOKENS if tied else None))] if headed else []
    runs = repeated(Block("block", tuple(parts)), config.size(f"{side}_layers"))
    return Stack(side, width, tuple(inputs), runs, tuple(outputs), side)


def _tokens(vocab: int, width: int, side: str, tied: bool, lone: bool) -> list[Named]:
    if tied or lone:
        return [Named("token", Embedding(vocab, width, share=TOKENS if tied else None))]
    # untied, the class keeps the table that would be shared beside one for each stack
    shared = [Named("unused", Embedding(vocab, width, unused=True))] if side == "encoder" else []
    return [*shared, Named("token", Embedding(vocab, width, table="other"))]

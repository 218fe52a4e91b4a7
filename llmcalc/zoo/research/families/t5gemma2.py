"""The T5Gemma 2 encoder-decoder with Gemma 3 blocks."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import short_repr
from ....importers.hf.composite_models import Part, encoder_stacks
from ....importers.hf.config import TOKENS, Config, Fields
from ....importers.hf.projectors import gemma3 as gemma3_projector
from ....importers.hf.rope import local_global_theta
from ....importers.hf.rules import extend_attention, runs_by_type, sublayer
from ....layers import Attention, Embedding, Head, Ids
from ..layers.merged_attention import MergedAttention

END_OF_IMAGE = "end_of_image"
PERIOD = 6  # period of layers without a window
_USUAL_END = 256_000  # default id of the end-of-image token


def t5gemma2(config: Config) -> Architecture:
    """Read a T5Gemma 2 config, including the vision encoder. Tied stacks share one token embedding."""
    config.ignore("is_encoder_decoder vocab_size classifier_dropout_rate")
    config.ignore("eoi_token_index")  # the values of the parts are used
    kind, tied = config.head_kind() or "seq2seq", config.flag("tie_word_embeddings", True)
    if kind not in ("seq2seq", "none"):
        raise config.error(f"the class {short_repr(config.class_name())} is not supported")
    stacks, end = _encoder(config.nested("encoder", config.mapping("encoder"), "t5gemma2_encoder"), tied)
    part = config.nested("decoder", config.mapping("decoder"), "t5gemma2_decoder")
    vocab, width = part.vocab, part.d_model
    for key, found, wanted in (("hidden_size", width, stacks[0].d_model), ("vocab_size", vocab, _n_rows(stacks[0]))):
        if found != wanted:
            raise config.size_error(f"{key} must be the same in the encoder ({wanted}) and the decoder ({found})")
    share = TOKENS if tied else None
    cap = part.number("final_logit_softcapping")
    outputs = [Named("head", Head(vocab, width, share, softcap=cap))] if kind == "seq2seq" else []
    decoder = _stack(part, "decoder", "token" if tied else "other", share, end)
    _check_read(part)
    decoder = replace(decoder, outputs=(*decoder.outputs, *outputs))
    return Architecture(config.model_type, (stacks[0], decoder, *stacks[1:]))


def encoder(config: Config) -> Architecture:
    """Read a T5Gemma 2 encoder config, including the vision encoder."""
    config.get("architectures")
    stacks, _ = _encoder(config, tied=False)
    return Architecture(config.model_type, stacks)


def text(config: Config) -> Architecture:
    """Read a T5Gemma 2 text encoder config."""
    config.get("architectures")
    stack = _stack(config, "encoder", "token", None, _USUAL_END)
    _ignore(config)
    return Architecture(config.model_type, (stack,))


def _encoder(config: Config, tied: bool) -> tuple[tuple[Stack, ...], int | None]:
    """Return the text and vision encoder stacks and the end-of-image token id."""
    config.ignore("text_config vision_config mm_tokens_per_image boi_token_index tie_word_embeddings")
    end = None if config.get("eoi_token_index") is None else config.count("eoi_token_index")
    part = config.nested("text_config", config.mapping("text_config"), "t5gemma2_text")
    found = _stack(part, "encoder", "token", TOKENS if tied else None, end)
    _check_read(part)
    (tower,) = encoder_stacks(config, Part("vision_config", "siglip_vision_model", gemma3_projector), found.d_model)
    config.check_all_read()
    return (found, tower), end


def _stack(config: Config, side: str, table: str, share: str | None, end: int | None) -> Stack:
    """Return a stack with token embeddings, the end-of-image embedding, blocks, and a norm."""
    tokens = Embedding(config.vocab, config.d_model, table, share, scale=config.d_model**0.5)
    row: Fields = {"use": "replacement", "ids": Ids(replaced=end)} if end is not None else {"unused": True}
    inputs = (
        Named("token", tokens),
        Named(END_OF_IMAGE, Embedding(1, config.d_model, table, END_OF_IMAGE if share else None, **row)),
    )
    period = config.count("sliding_window_pattern", PERIOD) or PERIOD
    pattern = ["sliding_attention" if (index + 1) % period else "full_attention" for index in range(config.n_layers)]
    kinds = {kind: _block(config, side, kind) for kind in ("sliding_attention", "full_attention")}
    norm = Named("norm", config.rmsnorm(unit_offset=True))
    return Stack(side, config.d_model, inputs, runs_by_type(kinds, config.layer_types(pattern)), (norm,), side)


def _block(config: Config, side: str, kind: str) -> Block:
    """Return a Gemma 3 block. An even encoder window covers one more token after the query than before it."""
    span = config.sliding_window() if kind == "sliding_attention" else None
    fields: Fields = {
        "layer_type": kind,
        "rope": {"theta": local_global_theta(config, kind)},
        "qk_norm": {"unit_offset": True},
        "scale": config.positive_number("query_pre_attn_scalar") ** -0.5,
        "window": span,
    }
    config.ignore("attn_logit_softcapping")  # a class key without effect
    if side == "encoder":
        fields |= {"causal": False}
        fields |= {"window": (span + 1) // 2, "window_ahead": span // 2 + 1} if span else {}
    attention: Attention = config.attention(**fields)
    if side == "decoder":
        attention = extend_attention(MergedAttention, attention)
    norm = config.rmsnorm(unit_offset=True)
    layers = {"attention": attention, "mlp": config.gated_mlp(activation="hidden_activation")}
    name = "local" if span else "global"
    return Block(name, tuple(sublayer(key, layer, pre=norm, post=norm) for key, layer in layers.items()))


def _n_rows(stack: Stack) -> int:
    """Return the number of rows in the token embedding."""
    table = stack.inputs[0].layer
    return table.rows if isinstance(table, Embedding) else 0


def _ignore(config: Config) -> None:
    config.ignore("max_position_embeddings final_logit_softcapping tie_word_embeddings is_encoder_decoder")


def _check_read(config: Config) -> None:
    """Raise an error if a nested config has unread keys."""
    _ignore(config)
    config.check_all_read()

"""BART and encoder-decoder models that use BART's config keys (Pegasus, Blenderbot, Marian, M2M-100, NLLB, FSMT)."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....core.layer import Layer
from ....layers import Capacity, Embedding, Moe, Routing
from ..config import TOKENS, Config, Fields
from .seq2seq import Style, class_kind, dense, encoder_decoder, head, stack, unscaled_embedding

POSITION_OFFSET = 2  # rows before the first position
PRE_NORM = Style(pre_norm=True, final_norm=True, embedding_norm=False, computed=True, buffer_bias=False)
CHOSEN = 2  # number of experts per token
EPS = 1e-30  # avoids a division by zero if both experts are full


def bart(config: Config) -> Architecture:
    """Read a BART [lewis2019] or PLBART config. Blocks are post-norm, and positions start after two offset rows."""
    return encoder_decoder(config, Style(offset=POSITION_OFFSET))


def mbart(config: Config) -> Architecture:
    """Read a Multilingual BART config [liu2020]. The model is BART with pre-norm blocks and a final norm."""
    return encoder_decoder(config, Style(pre_norm=True, final_norm=True, offset=POSITION_OFFSET))


def pegasus(config: Config) -> Architecture:
    """Read a PEGASUS [zhang2019pegasus] or Blenderbot config. PEGASUS stores sinusoids, and Blenderbot learns
    positions.
    """
    return encoder_decoder(config, Style(pre_norm=True, final_norm=True, embedding_norm=False))


def m2m_100(config: Config) -> Architecture:
    """Read an M2M-100 [fan2020] or NLLB config. Blocks are pre-norm, and positions are computed instead of stored."""
    return encoder_decoder(config, PRE_NORM)


def blenderbot_small(config: Config) -> Architecture:
    """Read a Blenderbot Small config. The model is BART without offset rows."""
    built = encoder_decoder(config, Style())
    return replace(built, stacks=tuple(_norm_first(part) if part.role == "decoder" else part for part in built.stacks))


def marian(config: Config) -> Architecture:
    """Read a Marian config [junczys2018]. Each language has its own token embedding unless embeddings are shared."""
    is_apart = not config.flag("share_encoder_decoder_embeddings", True)
    target = config.optional_size("decoder_vocab_size", zero_is_none=True)
    return encoder_decoder(config, Style(embedding_norm=False), target, is_apart=is_apart)


def _norm_first(stack: Stack) -> Stack:
    """Return the decoder with unscaled token embeddings, which are normalised before positions are added."""
    inputs = {entry.name: unscaled_embedding(entry) for entry in stack.inputs}
    order = [name for name in inputs if name not in ("position", "norm")] + ["norm", "position"]
    return replace(stack, inputs=tuple(inputs[name] for name in order))


def nllb_moe(config: Config) -> Architecture:
    """Read an NLLB-MoE config [costajussa2022]. The model is M2M-100 with experts in every n-th layer."""
    config.ignore("expert_capacity normalize_router_prob_before_dropping batch_prioritized_routing")
    config.ignore("moe_eval_capacity_token_fraction num_sparse_encoder_layers num_sparse_decoder_layers")
    if config.string("second_expert_policy", "all") != "all":
        config.add_unmodelled("routing to the second expert is random")
    return encoder_decoder(config, PRE_NORM._replace(feed=_dense_or_sparse))


def _dense_or_sparse(config: Config, side: str, index: int) -> tuple[str, Layer]:
    step, plain = config.count(f"{side}_sparse_step"), dense(config, PRE_NORM, side)
    n_experts, bias = config.size("num_experts"), config.flag("router_bias")
    if step == 0 or (index + 1) % step:
        return "dense", plain
    share = config.number("moe_eval_capacity_token_fraction", 1.0) or 0.0
    number, first = config.size("expert_capacity"), config.flag("batch_prioritized_routing")
    late = not config.flag("normalize_router_prob_before_dropping")
    scale = 1 - (config.number("moe_token_dropout") or 0.0)
    eps = EPS if late else 0.0
    routing = Routing(bias=bias, renormalise=True, renormalise_eps=eps, renormalise_late=late, scale=scale)
    size: Fields = {"share": share} if share > 0 else {"tokens": number}
    # with a share of 1, an expert accepts all tokens of a batch
    capacity = Capacity(batch=True, by_score=first, **size) if share < 1 else None
    more: Fields = {"routing": routing, "expert_capacity": capacity, "top_k_run": n_experts}
    own = (plain.d_model, plain.d_ff, n_experts, CHOSEN, plain.activation)
    return "sparse", Moe(*own, gated=False, expert_bias=True, **more)


def fsmt(config: Config) -> Architecture:
    """Read an FSMT config [ng2019]. Each language has its own vocabulary, and embeddings may be tied."""
    kind, width = class_kind(config), config.size("d_model")
    source, target = config.size("src_vocab_size"), config.size("tgt_vocab_size")
    config.ignore("langs decoder")
    tied = config.flag("tie_word_embeddings")
    style = Style(embedding_norm=False, offset=config.count("pad_token_id") + 1)  # positions start after the padding id
    if tied:
        tables = [Embedding(target, width, share=TOKENS)] * 2
    else:
        tables = [Embedding(source, width), Embedding(target, width, table="other")]
    encoder = stack(config, style, "encoder", [Named("token", tables[0])], [])
    # the base class also computes logits
    decoder = stack(config, style, "decoder", [Named("token", tables[1])], [head(target, width, tied)])
    if kind == "causal":
        return Architecture(config.model_type, (decoder,))
    return Architecture(config.model_type, (encoder, decoder))

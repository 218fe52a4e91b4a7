"""BART's kin for translation: with experts, with a vocabulary for each language, and the text half of SeamlessM4T."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture, Named
from ....core.errors import UnsupportedError
from ....core.layer import Layer
from ....layers.embedding import Embedding
from ....layers.moe import Moe
from ..config import Config
from ..rules import TOKENS
from .seq2seq import Style, class_kind, dense, encoder_decoder, head, stack

PRE_NORM = Style(pre_norm=True, final_norm=True, embedding_norm=False, computed=True, buffer_bias=False)
CHOSEN = 2  # experts a token
EPS = 1e-30  # where both are full, nothing is divided by zero


def nllb_moe(config: Config) -> Architecture:
    """NLLB-MoE [costajussa2022]: M2M-100 with experts in every n-th layer, masked in training, scaled otherwise."""
    config.ignore("expert_capacity normalize_router_prob_before_dropping batch_prioritized_routing")
    config.ignore("moe_eval_capacity_token_fraction num_sparse_encoder_layers num_sparse_decoder_layers")
    if config.string("second_expert_policy", "all") != "all":
        config.add_unmodelled("whether a token goes to its second expert is drawn")
    return encoder_decoder(config, PRE_NORM._replace(feed=_dense_or_sparse))


def _dense_or_sparse(config: Config, side: str, index: int) -> tuple[str, Layer]:
    step, plain = config.count(f"{side}_sparse_step"), dense(config, PRE_NORM, side)
    n_experts, bias = config.size("num_experts"), config.flag("router_bias")
    if step == 0 or (index + 1) % step:
        return "dense", plain
    share = config.number("moe_eval_capacity_token_fraction", 1.0) or 0.0
    number, first = config.size("expert_capacity"), config.flag("batch_prioritized_routing")
    late = not config.flag("normalize_router_prob_before_dropping")
    limits: dict[str, Any] = {"renormalise_late": late, "renormalise_eps": EPS if late else 0.0}
    if share < 1:  # with 1, an expert takes all tokens of a batch, if they are sent to it
        limits |= {"batch_capacity": True, "priority_by_score": first}
        limits |= {"capacity_share": share} if share > 0 else {"capacity": number}
    return "sparse", Moe(
        plain.d_model,
        plain.d_ff,
        n_experts,
        CHOSEN,
        plain.activation,
        gated=False,
        expert_bias=True,
        router_bias=bias,
        top_k_run=n_experts,
        renormalise=True,
        routed_scale=1 - (config.number("moe_token_dropout") or 0.0),
        **limits,
    )


def fsmt(config: Config) -> Architecture:
    """FSMT [ng2019]: post-norm, frozen sinusoids, a vocabulary for each language; one table only where tied."""
    kind, width = class_kind(config), config.size("d_model")
    source, target = config.size("src_vocab_size"), config.size("tgt_vocab_size")
    config.ignore("langs decoder")
    tied = config.flag("tie_word_embeddings")
    style = Style(embedding_norm=False, offset=config.count("pad_token_id") + 1)  # positions count from the padding on
    if tied:
        tables = [Embedding(target, width, share=TOKENS)] * 2
    else:
        tables = [Embedding(source, width), Embedding(target, width, table="other")]
    encoder = stack(config, style, "encoder", [Named("token", tables[0])], [])
    # the bare model computes logits too
    decoder = stack(config, style, "decoder", [Named("token", tables[1])], [head(target, width, tied)])
    if kind == "causal":
        return Architecture(config.model_type, (decoder,))
    return Architecture(config.model_type, (encoder, decoder))


def seamless_text(config: Config) -> Architecture:
    """SeamlessM4T's text encoder and decoder [barrault2023]; the speech parts are not in this class."""
    if config.class_name() and not config.class_name().endswith("ForTextToText"):
        raise UnsupportedError(f"{config.class_name()} has speech parts, which are not modelled", where=config.where)
    speech = ("speech_", "t2u_", "vocoder_", "unit_", "adaptor_", "upsample_", "resblock_", "lang_", "spkr_", "char_")
    config.ignore(" ".join(key for key in config.defaults if key.startswith(speech)))
    config.ignore("add_adapter feature_projection_input_dim num_conv_pos_embeddings num_conv_pos_embedding_groups")
    config.ignore("num_adapter_layers position_embeddings_type rotary_embedding_base max_source_positions")
    config.ignore("conv_depthwise_kernel_size sampling_rate leaky_relu_slope variance_predictor_kernel_size")
    config.ignore("var_pred_dropout max_new_tokens left_max_position_embeddings right_max_position_embeddings")
    config.ignore("variance_pred_dropout")
    config.discard("layer_norm_eps")  # the norms of these stacks keep to the default
    return encoder_decoder(config, PRE_NORM._replace(width="hidden_size"))

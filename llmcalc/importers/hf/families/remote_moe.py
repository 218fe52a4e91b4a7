"""Models whose classes were published with their checkpoints, and not in the library: mixtures of experts, OpenELM."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture
from ....core.errors import DescriptionError, SizeError, shown
from ....layers.attention import Attention
from ....layers.mlp import Mlp
from ....layers.moe import Moe
from ..config import Config
from ..rules import (
    causal_lm,
    experts,
    gated_mlp,
    group_runs,
    hybrid_runs,
    prenorm_block,
    rmsnorm,
    rope_attention,
    rotary_width,
)
from .deepseek import dense_first, softmax_experts
from .moe_special import minimax

_ATTENTION = "full_attention"


def deepseek(config: Config) -> Architecture:
    """DeepSeekMoE [dai2024]: softmax routing and shared experts behind plain attention."""
    if config.size("moe_layer_freq", 1) != 1:
        raise DescriptionError("moe_layer_freq is not 1, which is not described", where=config.where)
    routed = replace(softmax_experts(config), renormalise=config.flag("norm_topk_prob"))
    return _lm(config, rope_attention(config), routed)


def bailing_moe(config: Config) -> Architecture:
    """Ling and Ring [ling2025]: softmax routing, one matrix for queries, keys and values."""
    if config.flag("norm_head"):
        config.add_unmodelled("its head scales the rows of its matrix to length 1, which the NumPy model does not")
    config.ignore("embedding_dropout")
    config.unmodelled_unless("norm_softmax", neutral=False)
    width = config.size("moe_intermediate_size") * config.count("num_shared_experts")
    return _lm(config, _bailing_attention(config), experts(config, d_ff_shared=width or None))


def bailing_moe_v2(config: Config) -> Architecture:
    """Ling 2.0 and Ring 2.0 [ling2025v2]: sigmoid routing by groups; normed heads, of which half is rotated."""
    config.one_of("score_function", "sigmoid")
    if not config.flag("use_rmsnorm", True) or not config.flag("moe_router_enable_expert_bias", True):
        raise DescriptionError("LayerNorms and experts without a correction bias are not described", where=config.where)
    config.ignore("num_nextn_predict_layers mtp_loss_scaling_factor embedding_dropout rotary_dim router_dtype")
    width = config.size("moe_intermediate_size")
    shared = config.optional_size("moe_shared_expert_intermediate_size") or width
    routed = experts(
        config,
        router="sigmoid",
        correction_bias="buffer",
        group_score="two",
        n_groups=config.size("n_group", 1),
        top_groups=config.size("topk_group", 1),
        d_ff_shared=shared * config.count("num_shared_experts") or None,
    )
    norm = "head" if config.flag("use_qk_norm") else "none"
    return _lm(config, _bailing_attention(config, qk_norm=norm, rotary_dim=rotary_width(config)), routed)


def _bailing_attention(config: Config, **changes: Any) -> Attention:
    bias = config.flag("use_qkv_bias")
    return rope_attention(config, bias=bias, o_bias=config.flag("use_bias"), **changes)


def _lm(config: Config, attention: Attention, routed: Moe) -> Architecture:
    """Pre-norm blocks, the first with dense layers."""
    norm, kinds = rmsnorm(config, config.size("hidden_size")), dense_first(config)
    feeds = {"dense": gated_mlp(config), "sparse": routed}
    order = ((_ATTENTION, kind) for kind in kinds)
    return causal_lm(config, hybrid_runs(norm, {_ATTENTION: attention}, feeds, order), norm)


def minimax_text_01(config: Config) -> Architecture:
    """MiniMax-Text-01 and M1 [minimax2025] as published, where numbers say which layers have softmax attention."""
    kinds = config.layer_indices("attn_type_list")
    if set(kinds) - {0, 1} or len(kinds) != config.size("num_hidden_layers"):
        raise SizeError("attn_type_list has a 0 (linear) or a 1 (softmax) for each layer", where=config.where)
    config.override("layer_types", ["full_attention" if kind else "linear_attention" for kind in kinds])
    if config.count("shared_intermediate_size") or not config.flag("postnorm", True):
        raise DescriptionError("shared experts, and sums of another kind, are not described", where=config.where)
    config.ignore("shared_moe_mode layernorm_type rotary_dim")
    config.add_unmodelled("of its heads a part is rotated, and its class has projections of another form")
    return minimax(config)


def openelm(config: Config) -> Architecture:
    """OpenELM [mehta2024]: heads and hidden widths grow from layer to layer."""
    config.one_of("normalization_layer_name", "rms_norm")
    if not config.flag("ffn_with_glu", True):
        raise DescriptionError("ffn_with_glu is false, which is not described", where=config.where)
    config.ignore("qkv_multipliers num_gqa_groups rope_max_length")
    layers, width = config.size("num_hidden_layers"), config.size("hidden_size")
    queries, keys = (_sizes(config, f"num_{name}_heads", layers) for name in ("query", "kv"))
    norm, known = rmsnorm(config, width), {}
    order = []
    for place, shape in enumerate(zip(queries, keys, _hidden(config, layers, width), strict=True)):
        if shape not in known:
            known[shape] = _openelm_block(config, f"block{place}", norm, *shape)
        order.append(known[shape])
    return causal_lm(config, group_runs(order), norm, tied=config.flag("share_input_output_layers", True))


def _openelm_block(config: Config, name: str, norm: Any, queries: int, keys: int, hidden: int) -> Any:
    width = config.size("hidden_size")
    attention = Attention(
        width,
        queries,
        keys,
        config.size("head_dim"),
        qk_norm="head" if config.flag("normalize_qk_projections") else "none",
        qk_norm_eps=norm.eps,
        positions="rope",
        rope_theta=config.number("rope_freq_constant") or 10000.0,
    )
    mlp = Mlp(width, hidden, config.activation("activation_fn_name"), gated=True)
    return prenorm_block(name, norm, attention=attention, mlp=mlp)


def _sizes(config: Config, key: str, layers: int) -> list[int]:
    """A size for each layer, from a list or one number."""
    value = config.get(key)
    found = value if isinstance(value, list) else [value] * layers
    if len(found) != layers:
        raise SizeError(f"{key} has {len(found)} entries for {layers} layers", where=config.where)
    return [config.integer(one, key, 1) for one in found]


def _hidden(config: Config, layers: int, width: int) -> list[int]:
    """The hidden width of each layer: a multiple of ``ffn_dim_divisor`` near the width times its factor."""
    value, step = config.get("ffn_multipliers"), config.size("ffn_dim_divisor")
    factors = value if isinstance(value, list) else [value] * layers
    if len(factors) != layers:
        raise SizeError(f"ffn_multipliers has {len(factors)} entries for {layers} layers", where=config.where)
    found = []
    for factor in factors:
        wanted = config.finite_number(factor, "ffn_multipliers") * width
        near = max(step, int(wanted + step / 2) // step * step)
        found.append(config.integer(near + step * (near < 0.9 * wanted), f"ffn_multipliers ({shown(factor)})", 1))
    return found

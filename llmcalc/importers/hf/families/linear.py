"""Hybrids of linear attention: Ling 3 with latent attention, OLMo Hybrid, Lara Mini."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture, Block
from ....core.layer import Layer
from ....layers.gated_delta_net import GatedDeltaNet
from ....layers.kda import Kda
from ....layers.mlp import Mlp
from ....layers.moe import Moe
from ..config import Config
from ..rules import (
    causal_lm,
    experts,
    gated_mlp,
    hybrid_runs,
    layer_types,
    mlp_types,
    rmsnorm,
    rope_attention,
    runs_by_type,
    sliding_window,
    sublayer,
)
from .deepseek import mla


def bailing_hybrid(config: Config) -> Architecture:
    """Ling 3: KDA layers with full-rank gates, gated latent attention in the last layer of each group; never tied."""
    period = config.size("layer_group_size")
    config.ignore("num_mtp_layers mtp_loss_scaling_factor")
    count = config.size("num_hidden_layers")
    types = ["linear_attention" if (index + 1) % period else "full_attention" for index in range(count)]
    kda = Kda(
        config.size("hidden_size"),
        config.optional_size("linear_num_heads") or config.size("num_attention_heads"),
        config.optional_size("linear_head_dim") or config.size("head_dim"),
        config.optional_size("linear_conv_kernel_dim") or config.size("short_conv_kernel_size"),
        decay_bound=config.number("kda_lower_bound") if config.flag("kda_safe_gate") else None,
        norm_eps=config.number("rms_norm_eps") or 1e-6,
        activation=config.activation(),
    )
    config.ignore("head_dim num_attention_heads short_conv_kernel_size kda_lower_bound")
    mixers = {"full_attention": mla(config, gate="input", gate_per_head=True), "linear_attention": kda}
    return sigmoid_lm(config, mixers, types, config.count("first_k_dense_replace"))


def sigmoid_lm(
    config: Config, mixers: dict[str, Layer], types: list[str], dense: int, mlp: Mlp | None = None, **routed: Any
) -> Architecture:
    """Experts of DeepSeek-V3's kind behind some dense layers, a head of its own; ``routed``: what else experts are."""
    norm = rmsnorm(config, config.size("hidden_size"))
    config.ignore("tie_word_embeddings")
    shared = config.size("moe_intermediate_size") * config.size("n_shared_experts")
    sparse = experts(
        config,
        "num_local_experts",
        router="sigmoid",
        correction_bias="buffer",
        n_groups=config.size("n_group"),
        top_groups=config.size("topk_group"),
        d_ff_shared=shared,
        **routed,
    )
    feeds: dict[str, Layer] = {"dense": mlp or gated_mlp(config), "sparse": sparse}
    order = zip(layer_types(config, len(types), types), mlp_types(config, len(types), dense), strict=True)
    return causal_lm(config, hybrid_runs(norm, mixers, feeds, order), norm, tied=False)


def olmo_hybrid(config: Config) -> Architecture:
    """OLMo Hybrid: pre-norm gated delta nets, every fourth layer attention with norms behind its sub-layers."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm, heads = rmsnorm(config, width), config.size("num_attention_heads")
    config.ignore("linear_a_log_min linear_a_log_max linear_dt_min linear_dt_max linear_dt_init_floor")
    key_heads = config.optional_size("linear_num_key_heads") or heads
    d_k = config.optional_size("linear_key_head_dim") or int(0.75 * width / key_heads)
    delta = GatedDeltaNet(
        width,
        key_heads,
        config.optional_size("linear_num_value_heads") or heads,
        d_k,
        config.optional_size("linear_value_head_dim") or 2 * d_k,
        config.size("linear_conv_kernel_dim"),
        norm_eps=1e-5,  # fixed in the class
        activation=config.activation(),
        negative_eigenvalues=config.flag("linear_allow_neg_eigval"),
    )
    rotated = config.get("rope_parameters")
    positions = "rope" if isinstance(rotated, dict) and rotated.get("rope_theta") is not None else "none"
    attention = rope_attention(config, positions=positions, qk_norm="projection")
    mlp = gated_mlp(config)
    kinds = {
        "linear_attention": Block("linear", (sublayer("linear", delta, pre=norm), sublayer("mlp", mlp, pre=norm))),
        "full_attention": Block(
            "attention", (sublayer("attention", attention, post=norm), sublayer("mlp", mlp, post=norm))
        ),
    }
    pattern = ["linear_attention" if index % 4 != 3 else "full_attention" for index in range(layers)]
    if "full_attention" not in pattern:
        pattern[-1] = "full_attention"
    return causal_lm(config, runs_by_type(kinds, layer_types(config, layers, pattern)), norm)


_LARA_CYCLE = ("linear_attention", "sliding_attention", "linear_attention", "full_attention", "sliding_attention")


def lara_mini(config: Config) -> Architecture:
    """Lara Mini: gated delta nets, windowed attention with rotary positions, full attention without; experts."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width)
    delta = GatedDeltaNet(
        width,
        config.size("linear_num_key_heads"),
        config.size("linear_num_value_heads"),
        config.size("linear_key_head_dim"),
        config.size("linear_value_head_dim"),
        config.size("linear_conv_kernel_dim"),
        norm_eps=config.number("rms_norm_eps") or 1e-6,
        activation=config.activation(),
    )
    mixers: dict[str, Layer] = {
        "linear_attention": delta,
        "sliding_attention": rope_attention(config, window=sliding_window(config), qk_norm="head"),
        "full_attention": rope_attention(config, positions="none", qk_norm="head"),
    }
    routed: Moe = experts(config, d_ff_shared=config.size("shared_expert_intermediate_size"))
    order = layer_types(config, layers, [_LARA_CYCLE[index % len(_LARA_CYCLE)] for index in range(layers)])
    return causal_lm(config, hybrid_runs(norm, mixers, {"sparse": routed}, ((kind, "sparse") for kind in order)), norm)

"""Qwen3.5: gated delta nets and gated attention, dense or with experts."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....core.layer import Layer
from ..config import Config
from ..rules import (
    causal_lm,
    every_nth,
    experts,
    gated_mlp,
    hybrid_runs,
    layer_types,
    rmsnorm,
    rope_attention,
    rotary_width,
)
from .hybrid import gated_delta_net


def qwen3_5(config: Config) -> Architecture:
    """Qwen3.5, dense."""
    return _qwen3_5(config, gated_mlp(config))


def qwen3_5_moe(config: Config) -> Architecture:
    """Qwen3.5 with experts, of which a shared one has a gate."""
    config.ignore("intermediate_size decoder_sparse_step")
    shared = config.optional_size("shared_expert_intermediate_size", zero_is_none=True)
    return _qwen3_5(config, experts(config, d_ff_shared=shared, shared_gate=True))


def _qwen3_5(config: Config, feed: Layer) -> Architecture:
    layers, norm = config.size("num_hidden_layers"), rmsnorm(config, config.size("hidden_size"), unit_offset=True)
    config.ignore("mlp_only_layers")  # of other Qwens
    config.ignore("mtp_num_hidden_layers mtp_use_dedicated_embeddings mamba_ssm_dtype attn_output_gate")
    mixers: dict[str, Layer] = {
        "full_attention": rope_attention(
            config, gated=True, qk_norm="head", qk_norm_unit_offset=True, rotary_dim=rotary_width(config, 0.25)
        ),
        "linear_attention": gated_delta_net(config),
    }
    pattern = every_nth(config, "full_attention_interval", layers, "full_attention", "linear_attention", 4)
    order = ((kind, "mlp") for kind in layer_types(config, layers, pattern))
    return causal_lm(config, hybrid_runs(norm, mixers, {"mlp": feed}, order), norm)

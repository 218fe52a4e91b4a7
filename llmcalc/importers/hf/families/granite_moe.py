"""Granite 3 mixtures of experts: multipliers on embeddings, residuals and scores; a shared feed-forward layer."""

from __future__ import annotations

from ....core.architecture import Architecture
from ..config import Config
from ..rules import causal_lm, experts, layer_types, local_global, mixed, rmsnorm, window

_MULTIPLIERS = "embedding_multiplier logits_scaling residual_multiplier"


def granitemoe(config: Config) -> Architecture:
    """Granite 3 MoE, with a shared expert or without one."""
    return _granite(config, None, ["full_attention"] * config.size("num_hidden_layers"))


def granitemoe_swa(config: Config) -> Architecture:
    """Granite MoE with sinks, and windows in three of four layers."""
    layers = config.size("num_hidden_layers")
    config.ignore("layer_rope_theta")
    pattern = ["sliding_attention" if index % 4 else "full_attention" for index in range(layers)]
    return _granite(config, window(config), layer_types(config, layers, pattern), sinks=True)


def _granite(config: Config, limit: int | None, types: list[str], **changes: object) -> Architecture:
    norm = rmsnorm(config, config.size("hidden_size"))
    config.ignore(_MULTIPLIERS)
    shared = config.optional_size("shared_intermediate_size", zero_is_none=True)
    routed = experts(config, "num_local_experts", "intermediate_size", d_ff_shared=shared)
    mixers = local_global(config, limit, scale=config.number("attention_multiplier"), **changes)
    runs = mixed(norm, mixers, {"sparse": routed}, ((kind, "sparse") for kind in types))
    return causal_lm(config, runs, norm)

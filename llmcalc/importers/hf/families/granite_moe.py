"""Granite 3 mixtures of experts: multipliers on embeddings, residuals and scores; a shared feed-forward layer."""

from __future__ import annotations

from ....core.architecture import Architecture
from ..config import Config
from ..rules import causal_lm, experts, hybrid_runs, layer_types, rmsnorm
from .multipliers import by_base, multipliers


def granitemoe(config: Config) -> Architecture:
    """Granite 3 MoE, with a shared expert or without one."""
    return _granite(config, ["full_attention"] * config.size("num_hidden_layers"))


def granitemoe_swa(config: Config) -> Architecture:
    """Granite MoE with sinks, and windows in three of four layers."""
    layers = config.size("num_hidden_layers")
    pattern = ["sliding_attention" if index % 4 else "full_attention" for index in range(layers)]
    return _granite(config, layer_types(config, layers, pattern), sinks=True)


def _granite(config: Config, types: list[str], **changes: object) -> Architecture:
    norm, scaled = rmsnorm(config, config.size("hidden_size")), multipliers(config)
    shared = config.optional_size("shared_intermediate_size", zero_is_none=True)
    routed = experts(config, "num_local_experts", "intermediate_size", d_ff_shared=shared, renormalise=True)
    mixers, order = by_base(config, types, scale=config.number("attention_multiplier"), **changes)
    runs = hybrid_runs(
        norm, mixers, {"sparse": routed}, ((kind, "sparse") for kind in order), scale=scaled.pop("scale")
    )
    return causal_lm(config, runs, norm, **scaled)

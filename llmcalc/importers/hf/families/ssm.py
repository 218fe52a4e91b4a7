"""State-space and recurrent models: Mamba, Mamba-2, RWKV-4."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named
from ....layers.mamba import Mamba
from ....layers.mamba2 import Mamba2
from ....layers.rwkv_channel_mix import RwkvChannelMix
from ....layers.rwkv_time_mix import RwkvTimeMix
from ..config import Config
from ..rules import causal_lm, layernorm, prenorm_block, repeat_block, rmsnorm


def mamba(config: Config) -> Architecture:
    """Mamba [gu2023]."""
    return _mamba(config, "none")


def falcon_mamba(config: Config) -> Architecture:
    """Falcon Mamba [zuo2024]: norms without weights on Δ, B and C."""
    config.ignore("use_falcon_mambapy")
    return _mamba(config, "plain", config.number("mixer_rms_eps") or 1e-6)


def _mamba(config: Config, bcdt_norm: str, norm_eps: float = 1e-6) -> Architecture:
    width = config.size("hidden_size")
    norm = rmsnorm(config, width, "layer_norm_epsilon")
    rank = config.get("time_step_rank")
    expanded = int((config.number("expand") or 2) * width)
    mixer = Mamba(
        width,
        config.optional_size("intermediate_size") or expanded,
        config.size("state_size"),
        config.size("conv_kernel"),
        -(-width // 16) if rank == "auto" else config.size("time_step_rank"),
        bias=config.flag("use_bias"),
        conv_bias=config.flag("use_conv_bias"),
        bcdt_norm=bcdt_norm,
        norm_eps=norm_eps,
        activation=config.activation(),
    )
    return causal_lm(
        config, repeat_block(prenorm_block("block", norm, mamba=mixer), config.size("num_hidden_layers")), norm
    )


def time_step_limits(config: Config) -> dict[str, Any]:
    """The bounds of Mamba-2's time step as its fields, of which the upper one may be infinite."""
    limits = config.get("time_step_limit")
    if not isinstance(limits, (list, tuple)) or len(limits) != 2:  # a pair: lower, upper
        return {}
    low, high = limits
    bounded = type(high) in (int, float) and high < float("inf")
    return {"dt_min": float(low), "dt_max": float(high) if bounded else None}


def mamba2(config: Config) -> Architecture:
    """Mamba-2 [dao2024]."""
    width = config.size("hidden_size")
    norm = rmsnorm(config, width, "layer_norm_epsilon")
    config.ignore("expand time_step_rank rms_norm")
    mixer = Mamba2(
        width,
        config.size("num_heads"),
        config.size("head_dim"),
        config.size("state_size"),
        config.size("n_groups"),
        config.size("conv_kernel"),
        config.size("chunk_size"),
        bias=config.flag("use_bias"),
        conv_bias=config.flag("use_conv_bias"),
        norm_eps=config.number("layer_norm_epsilon") or 1e-5,
        activation=config.activation(),
        **time_step_limits(config),
    )
    return causal_lm(
        config, repeat_block(prenorm_block("block", norm, mamba=mixer), config.size("num_hidden_layers")), norm
    )


def rwkv(config: Config) -> Architecture:
    """RWKV-4 [peng2023]: time and channel mixing, one more norm behind the token table."""
    width = config.size("hidden_size")
    norm = layernorm(config, width, "layer_norm_epsilon")
    config.ignore("context_length")
    block = prenorm_block(
        "block",
        norm,
        time_mix=RwkvTimeMix(width, config.optional_size("attention_hidden_size") or width),
        channel_mix=RwkvChannelMix(width, config.optional_size("intermediate_size") or 4 * width),
    )
    final = replace(norm, eps=1e-5)  # whatever the config says
    runs = repeat_block(block, config.size("num_hidden_layers"))
    return causal_lm(config, runs, final, inputs=(Named("embedding_norm", norm),))

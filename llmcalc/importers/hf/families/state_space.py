"""State-space and recurrent models without attention: Mamba, Falcon Mamba, Mamba-2 and RWKV-4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named, Run
from ....core.errors import UnknownNameError, short_repr
from ....layers import Mamba, Mamba2, RwkvChannelMix, RwkvTimeMix, TimeStep
from ..config import Config, Fields
from ..rules import causal_lm, prenorm_block, repeat_block
from .mistral import key_group

MAMBA_KEYS = "d_state=mamba_d_state d_conv=mamba_d_conv bias=mamba_proj_bias conv_bias=mamba_conv_bias"
_NORM_EPS = 1e-5
_SSM = ("layer", "d_state", "d_conv", "expand", "headdim", "ngroups", "chunk_size", "dt_rank")
_USUAL: dict[str, dict[str, Any]] = {  # defaults of the classes
    "Mamba1": {"d_state": 16, "d_conv": 4, "expand": 2, "dt_rank": "auto"},
    "Mamba2": {"d_state": 128, "d_conv": 4, "expand": 2, "headdim": 64, "ngroups": 1, "chunk_size": 256},
}


def mamba_ssm(config: Config) -> Architecture:
    """Read a Mamba [gu2023] or Mamba-2 [dao2024] config in the authors' format. The vocabulary is padded."""
    config.ignore("fused_add_norm")
    if config.get("attn_layer_idx") or config.get("attn_cfg") or config.count("d_intermediate"):
        raise config.error("attention and feed-forward layers between Mamba layers are not supported")
    config.check_flags(rms_norm=True)
    given = key_group(config, "ssm_cfg", _SSM)
    step, vocab = config.size("pad_vocab_size_multiple", 8), config.vocab
    config.override("vocab_size", -(-vocab // step) * step)
    norm = config.rmsnorm("norm_eps")
    runs: tuple[Run, ...] = repeat_block(prenorm_block("block", norm, mamba=_mixer(config, given)), config.n_layers)
    built = causal_lm(config, runs, norm, tied=config.flag("tie_embeddings", True))
    return replace(built, layout="mamba2") if given.get("layer") == "Mamba2" else built


def _mixer(config: Config, given: Mapping[str, Any]) -> Mamba | Mamba2:
    width, kind = config.d_model, given.get("layer", "Mamba1")
    sizes = {**_USUAL.get(kind, {}), **{key: value for key, value in given.items() if key != "layer"}}
    if kind not in _USUAL or not sizes.keys() <= _USUAL[kind].keys():
        raise UnknownNameError("ssm_cfg layer or key", short_repr(kind), _USUAL, where=config.where)
    rank = sizes.pop("dt_rank", None)
    size = {key: config.integer(value, key, 1) for key, value in sizes.items()}
    inner = size["expand"] * width
    if kind == "Mamba1":
        low = -(-width // 16) if rank == "auto" else config.integer(rank, "dt_rank", 1)
        return Mamba(width, inner, size["d_state"], size["d_conv"], low, conv_bias=True)
    if inner % size["headdim"]:
        raise config.size_error(f"headdim ({size['headdim']}) must divide the inner width ({inner})")
    rest = (size["d_state"], size["ngroups"], size["d_conv"], size["chunk_size"])
    return Mamba2(width, inner // size["headdim"], size["headdim"], *rest, conv_bias=True, norm_eps=_NORM_EPS)


def mamba(config: Config) -> Architecture:
    """Read a Mamba config [gu2023]."""
    return _mamba(config, "none")


def falcon_mamba(config: Config) -> Architecture:
    """Read a Falcon Mamba config [zuo2024] with unweighted norms on Δ, B and C."""
    config.ignore("use_falcon_mambapy")
    return _mamba(config, "plain", config.number("mixer_rms_eps") or 1e-6)


def _mamba(config: Config, bcdt_norm: str, norm_eps: float = 1e-6) -> Architecture:
    keys = "d_state=state_size d_conv=conv_kernel bias=use_bias conv_bias=use_conv_bias activation=hidden_act"
    inner = config.optional_size("intermediate_size") or int((config.number("expand") or 2) * config.d_model)
    sizes = {"d_inner": inner, "dt_rank": time_step_rank(config, "time_step_rank")}
    return _mamba_lm(config, config.layer(Mamba, keys, **sizes, bcdt_norm=bcdt_norm, norm_eps=norm_eps))


def _mamba_lm(config: Config, mixer: Mamba | Mamba2) -> Architecture:
    norm = config.rmsnorm("layer_norm_epsilon")
    return causal_lm(config, repeat_block(prenorm_block("block", norm, mamba=mixer), config.n_layers), norm)


def time_step_rank(config: Config, key: str) -> int:
    """Return the rank of Mamba's time step. ``auto`` means one sixteenth of the width, rounded up."""
    return -(-config.d_model // 16) if config.get(key) == "auto" else config.size(key)


def time_step_limits(config: Config) -> Fields:
    """Return the fields for Mamba-2's time step bounds. An infinite upper bound becomes None."""
    limits = config.get("time_step_limit")
    if not isinstance(limits, (list, tuple)) or len(limits) != 2:  # the lower and upper bounds
        return {}
    low, high = limits
    bounded = type(high) in (int, float) and high < float("inf")
    return {"time_step": TimeStep(float(low), float(high) if bounded else None)} if low or bounded else {}


def least_time_step(config: Config) -> TimeStep | None:
    """Return a lower bound of the time step, for classes that ignore ``time_step_limit``."""
    least = config.number("time_step_min")
    return TimeStep(least) if least else None


def mamba2(config: Config) -> Architecture:
    """Read a Mamba-2 config [dao2024]."""
    config.ignore("time_step_rank rms_norm")
    inner, heads = config.finite_number(config.get("expand"), "expand") * config.d_model, config.size("num_heads")
    if int(inner) != heads * config.size("head_dim"):
        raise config.size_error(f"num_heads · head_dim ({heads * config.size('head_dim')}) must equal expand · "
                                f"hidden_size ({int(inner)})")  # fmt: skip
    keys = "n_ssm_heads=num_heads d_ssm_head=head_dim d_state=state_size n_groups d_conv=conv_kernel chunk=chunk_size"
    keys += " bias=use_bias conv_bias=use_conv_bias activation=hidden_act"
    eps = config.number("layer_norm_epsilon") or 1e-5
    return _mamba_lm(config, config.layer(Mamba2, keys, norm_eps=eps, **time_step_limits(config)))


def rwkv(config: Config) -> Architecture:
    """Read an RWKV-4 config [peng2023] with time mixing, channel mixing and a norm after the embedding."""
    norm = config.layernorm("layer_norm_epsilon")
    config.ignore("context_length")
    time = RwkvTimeMix(config.d_model, config.optional_size("attention_hidden_size") or config.d_model)
    channel = RwkvChannelMix(config.d_model, config.optional_size("intermediate_size") or 4 * config.d_model)
    block = prenorm_block("block", norm, time_mix=time, channel_mix=channel)
    final = replace(norm, eps=1e-5)  # regardless of the config
    return causal_lm(config, repeat_block(block, config.n_layers), final, inputs=(Named("embedding_norm", norm),))

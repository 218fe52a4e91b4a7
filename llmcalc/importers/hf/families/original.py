"""Models in the formats of their makers' own code: LLaMA, Mistral and Mixtral, Mamba and Mamba-2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Run
from ....core.errors import DescriptionError, SizeError, UnknownNameError, shown
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.mamba import Mamba
from ....layers.mamba2 import Mamba2
from ....layers.mlp import Mlp
from ....layers.moe import Moe
from ..config import Config
from ..rules import causal_lm, divide_by_heads, prenorm_block, repeat_block, rmsnorm, sliding_window

_THETA = 10000.0
_LLAMA_RUNTIME = "max_batch_size max_seq_len model_parallel_size"
_NORM_EPS = 1e-5


def llama_params(config: Config) -> Architecture:
    """LLaMA 1-3 as Meta released them [touvron2023a]: the hidden width is 2/3 of 4·dim, scaled and rounded up."""
    config.ignore(_LLAMA_RUNTIME)
    if config.flag("use_scaled_rope"):
        config.add_unmodelled("use_scaled_rope stretches the angles by numbers that the file does not give")
    width, step = config.size("hidden_size"), config.size("multiple_of")
    factor = config.number("ffn_dim_multiplier")
    hidden = 2 * 4 * width // 3
    hidden = hidden if factor is None else int(factor * hidden)
    mlp = Mlp(width, config.integer(-(-hidden // step) * step, "ffn_dim_multiplier", 1), "silu", gated=True)
    return _decoder(config, mlp, rope_interleaved=True)


def mistral_params(config: Config) -> Architecture:
    """Mistral [jiang2023] and Mixtral [jiang2024] as Mistral AI released them."""
    config.ignore(f"{_LLAMA_RUNTIME} model_type")
    width, hidden = config.size("hidden_size"), config.size("intermediate_size")
    routed = _group(config, "moe", ("num_experts", "num_experts_per_tok"))
    feed: Layer = Mlp(width, hidden, "silu", gated=True)
    if routed:
        experts, chosen = (config.integer(routed.get(key), key, 1) for key in ("num_experts", "num_experts_per_tok"))
        feed = Moe(width, hidden, experts, chosen, renormalise=True)
    return _decoder(config, feed, window=sliding_window(config), rope_interleaved=True)


def _decoder(config: Config, feed: Layer, **changes: Any) -> Architecture:
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    if config.get("vocab_size") == -1:  # Meta's files leave it to the tokenizer
        raise SizeError(
            "vocab_size is -1: the tokenizer has it",
            where=config.where,
            hint="give it, such as {overrides=vocab_size=32000}",
        )
    attention = Attention(
        width,
        heads,
        config.optional_size("num_key_value_heads") or heads,
        config.optional_size("head_dim") or divide_by_heads(config, width, heads),
        positions="rope",
        rope_theta=config.number("rope_theta") or _THETA,
        **changes,
    )
    block = prenorm_block("block", rmsnorm(config, width, "norm_eps"), attention=attention, mlp=feed)
    runs = repeat_block(block, config.size("num_hidden_layers"))
    return causal_lm(config, runs, rmsnorm(config, width, "norm_eps"), tied=config.flag("tied_embeddings"))


_SSM = ("layer", "d_state", "d_conv", "expand", "headdim", "ngroups", "chunk_size", "dt_rank")


def mamba_ssm(config: Config) -> Architecture:
    """Mamba [gu2023] and Mamba-2 [dao2024] as their authors released them; the vocabulary is padded."""
    config.ignore("residual_in_fp32 fused_add_norm")
    if config.get("attn_layer_idx") or config.get("attn_cfg") or config.count("d_intermediate"):
        raise DescriptionError("attention and feed-forward layers among Mamba's are not described", where=config.where)
    if not config.flag("rms_norm", True):
        raise DescriptionError("rms_norm is false, which is not described", where=config.where)
    given = _group(config, "ssm_cfg", _SSM)
    step, vocab = config.size("pad_vocab_size_multiple", 8), config.size("vocab_size")
    config.override("vocab_size", -(-vocab // step) * step)
    norm = rmsnorm(config, config.size("hidden_size"), "norm_eps")
    runs: tuple[Run, ...] = repeat_block(
        prenorm_block("block", norm, mamba=_mixer(config, given)), config.size("num_hidden_layers")
    )
    built = causal_lm(config, runs, norm, tied=config.flag("tie_embeddings", True))
    return replace(built, layout="mamba2") if given.get("layer") == "Mamba2" else built


def _mixer(config: Config, given: Mapping[str, Any]) -> Mamba | Mamba2:
    width, kind = config.size("hidden_size"), given.get("layer", "Mamba1")
    sizes = {**_USUAL.get(kind, {}), **{key: value for key, value in given.items() if key != "layer"}}
    if kind not in _USUAL or not sizes.keys() <= _USUAL[kind].keys():
        raise UnknownNameError("layer or key of ssm_cfg", shown(kind), _USUAL, where=config.where)
    rank = sizes.pop("dt_rank", None)
    size = {key: config.integer(value, key, 1) for key, value in sizes.items()}
    inner = size["expand"] * width
    if kind == "Mamba1":
        low = -(-width // 16) if rank == "auto" else config.integer(rank, "dt_rank", 1)
        return Mamba(width, inner, size["d_state"], size["d_conv"], low, conv_bias=True)
    if inner % size["headdim"]:
        raise SizeError(f"headdim ({size['headdim']}) does not divide {inner}", where=config.where)
    heads = inner // size["headdim"]
    rest = (size["d_state"], size["ngroups"], size["d_conv"], size["chunk_size"])
    return Mamba2(width, heads, size["headdim"], *rest, conv_bias=True, norm_eps=_NORM_EPS)


_USUAL: dict[str, dict[str, Any]] = {  # as their classes have them
    "Mamba1": {"d_state": 16, "d_conv": 4, "expand": 2, "dt_rank": "auto"},
    "Mamba2": {"d_state": 128, "d_conv": 4, "expand": 2, "headdim": 64, "ngroups": 1, "chunk_size": 256},
}


def _group(config: Config, key: str, known: tuple[str, ...]) -> dict[str, Any]:
    """A group of keys that all are known; nothing if it is left out."""
    found = config.get(key) or {}
    if not isinstance(found, dict):
        raise DescriptionError(f"{key} is {shown(found)}; it is a group of keys", where=config.where)
    unknown = next((name for name in found if name not in known), None)
    if unknown is not None:
        raise UnknownNameError(f"key of {key}", unknown, known, where=config.where)
    return found

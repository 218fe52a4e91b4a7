"""Dense, mixture-of-experts and hybrid models from Qwen 1 to Qwen3.5."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ....core.architecture import Architecture
from ....core.layer import Layer
from ....layers import Gate, GatedDeltaNet, Mlp, Moe
from ..config import Config, Fields, Layers
from ..rules import block, causal_lm, decoder, group_runs, prenorm_block, runs_by_type

_QWEN_RUNTIME = """
    bf16 fp16 fp32 onnx_safe seq_length softmax_in_fp32 use_flash_attn use_cache_kernel use_cache_quantization
    emb_dropout_prob attn_dropout_prob
"""


def qwen(config: Config) -> Architecture:
    """Read a Qwen 1 config [bai2023] with QKV biases. ``intermediate_size`` is the combined width of the gate and
    up-projections.
    """
    config.check_flags(no_bias=True)
    config.ignore(_QWEN_RUNTIME)
    config.unmodelled_unless("use_dynamic_ntk use_logn_attn", neutral=False)
    config.unmodelled_unless("rotary_pct", neutral=1.0)
    heads, twice = config.n_heads, config.size("intermediate_size")
    if twice % 2:
        reason = "because it is split between the gate and up projections"
        raise config.size_error(f"intermediate_size must be even, not {twice}, {reason}")
    theta = config.number("rotary_emb_base") or 10000.0
    attention = config.attention(bias=True, o_bias=False, n_kv_heads=heads, rope={"theta": theta})
    mlp = Mlp(config.d_model, twice // 2, "silu", gated=True)
    return decoder(config, attention, mlp, tied=config.flag("tie_word_embeddings"))


def qwen2(config: Config) -> Architecture:
    """Read a Qwen2 or Qwen2.5 config with QKV biases and optional windows in upper layers."""
    return _windowed(config, bias=False, q_bias=True, k_bias=True, v_bias=True)


def qwen3(config: Config) -> Architecture:
    """Read a Qwen3 config with a norm on each query and key head."""
    return _windowed(config, qk_norm="head")


def _windowed(config: Config, **changes: Any) -> Architecture:
    limit, mlp = config.optional_window(), config.gated_mlp()
    names = {"full_attention": ("block", None), "sliding_attention": ("windowed", limit)}
    kinds = {
        kind: block(name, config.rmsnorm(), config.attention(window=span, **changes), mlp)
        for kind, (name, span) in names.items()
    }
    return causal_lm(config, runs_by_type(kinds, config.upper_windows(limit)), config.rmsnorm())


def qwen2_moe(config: Config) -> Architecture:
    """Read a Qwen1.5-MoE or Qwen2-MoE config with a gated shared expert and optional windows in lower layers."""
    sliding = config.flag("use_sliding_window")
    limit = config.sliding_window() if sliding else None
    config.get("sliding_window")
    first = config.count("max_window_layers", config.n_layers)
    pattern = [
        "sliding_attention" if sliding and index % 2 == 0 and index < first else "full_attention"
        for index in range(config.n_layers)
    ]
    biased = config.flag("qkv_bias", True)
    mixers = config.local_global_attention(limit, bias=False, q_bias=biased, k_bias=biased, v_bias=biased)
    return decoder(config, mixers, shared_gate_experts(config), config.layer_types(pattern), sparse_types(config))


def qwen3_moe(config: Config) -> Architecture:
    """Read a Qwen3-MoE config with query and key norms and optional dense layers."""
    limit = config.optional_window()
    config.ignore("qkv_bias use_qk_norm shared_expert_intermediate_size")  # Qwen2-MoE keys without effect here
    rounded = max(1, config.d_model // config.n_heads)
    attention = config.attention(d_head=config.optional_size("head_dim") or rounded, qk_norm="head", window=limit)
    return decoder(config, attention, config.experts(), feeds=sparse_types(config))


def qwen3_next(config: Config) -> Architecture:
    """Read a Qwen3-Next config with gated delta nets, gated attention in every fourth layer, and experts."""
    norm = config.rmsnorm(unit_offset=True)
    rotary = int((config.optional_size("head_dim") or config.d_model // config.n_heads) * config.partial_rotary(0.25))
    mixers = _gated_mixers(config, rotary)
    names = {"full_attention": "attention", "linear_attention": "linear"}
    feeds = {"": shared_gate_experts(config), "_dense": config.gated_mlp()}
    kinds = {
        (kind, feed): prenorm_block(names[kind] + feed, norm, **{names[kind]: mixer, "mlp": layer})
        for kind, mixer in mixers.items()
        for feed, layer in feeds.items()
    }
    chosen = sparse_layers(config, config.n_layers)
    types = config.layer_types(config.every_nth("full_attention_interval", "full_attention", "linear_attention", 4))
    order = (kinds[kind, "" if index in chosen else "_dense"] for index, kind in enumerate(types))
    return causal_lm(config, group_runs(order), norm)


def _gated_mixers(config: Config, rotary: int) -> Layers:
    """Return a gated attention layer with query and key norms, and a gated delta net."""
    fields: Fields = {"gate": Gate(), "qk_norm": {"unit_offset": True}, "rope": {"dim": rotary}}
    return {"full_attention": config.attention(**fields), "linear_attention": gated_delta_net(config)}


def shared_gate_experts(config: Config) -> Moe:
    """Return a mixture of experts with a gated shared expert."""
    shared = config.optional_size("shared_expert_intermediate_size", zero_is_none=True)
    return config.experts(shared={"d_ff": shared or 0, "gate": True})


def gated_delta_net(config: Config) -> GatedDeltaNet:
    """Return a gated delta net configured by Qwen keys."""
    keys = "n_k_heads=linear_num_key_heads n_v_heads=linear_num_value_heads d_k=linear_key_head_dim"
    keys += " d_v=linear_value_head_dim d_conv=linear_conv_kernel_dim activation=hidden_act"
    return config.layer(GatedDeltaNet, keys, norm_eps=config.eps)


def qwen3_5(config: Config) -> Architecture:
    """Read a dense Qwen3.5 config."""
    return _qwen3_5(config, config.gated_mlp())


def qwen3_5_moe(config: Config) -> Architecture:
    """Read a Qwen3.5 mixture-of-experts config with a gated shared expert."""
    config.ignore("intermediate_size decoder_sparse_step")
    return _qwen3_5(config, shared_gate_experts(config))


def _qwen3_5(config: Config, feed: Layer) -> Architecture:
    config.ignore("mlp_only_layers")  # keys of other Qwen models
    config.ignore("mtp_num_hidden_layers mtp_use_dedicated_embeddings mamba_ssm_dtype attn_output_gate")
    mixers = _gated_mixers(config, config.rotary_width(0.25))
    pattern = config.every_nth("full_attention_interval", "full_attention", "linear_attention", 4)
    return decoder(config, mixers, feed, config.layer_types(pattern), norm=config.rmsnorm(unit_offset=True))


def sparse_layers(config: Config, layers: int) -> set[int]:
    """Return the indices of the layers with experts, as set by ``decoder_sparse_step`` and ``mlp_only_layers``."""
    step, dense = config.size("decoder_sparse_step", 1), set(config.layer_indices("mlp_only_layers"))
    if config.get("num_experts") == 0:
        return set()
    return {index for index in range(layers) if (index + 1) % step == 0 and index not in dense}


def sparse_types(config: Config, dense: Collection[int] = ()) -> list[str]:
    """Return ``sparse`` or ``dense`` for each layer. Layers listed in ``dense`` never have experts."""
    chosen = sparse_layers(config, config.n_layers) - set(dense)
    return ["sparse" if index in chosen else "dense" for index in range(config.n_layers)]

"""Decoders whose feed-forward layers are mixtures of experts."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....layers.moe import Moe
from ..config import Config
from ..rules import causal_lm, glu, grouped, layer_types, prenorm_block, repeated, rmsnorm, rope_attention, window


def mixtral(config: Config) -> Architecture:
    """Mixtral [jiang2024]: eight SwiGLU experts, two a token."""
    width = config.size("hidden_size")
    norm = rmsnorm(config, width)
    experts = Moe(width, config.size("intermediate_size"), config.size("num_local_experts"), config.size("num_experts_per_tok"), config.activation())
    attention = rope_attention(config, bias=False, window=window(config))
    block = prenorm_block("block", norm, attention=attention, mlp=experts)
    return causal_lm(config, repeated(block, config.size("num_hidden_layers")), norm)


def qwen3_moe(config: Config) -> Architecture:
    """Qwen3-MoE: a norm on each query and key head; some layers may be dense."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width)
    limit = window(config)
    limit = limit if config.flag("use_sliding_window") else None
    config.ignore("qkv_bias use_qk_norm shared_expert_intermediate_size")  # keys of Qwen2-MoE, without effect here
    attention = rope_attention(config, qk_norm="head", window=limit)
    experts = Moe(width, config.size("moe_intermediate_size"), config.size("num_experts"), config.size("num_experts_per_tok"), config.activation())
    sparse = prenorm_block("sparse", norm, attention=attention, mlp=experts)
    dense = prenorm_block("dense", norm, attention=attention, mlp=glu(config))
    chosen = sparse_layers(config, layers)
    return causal_lm(config, grouped(sparse if index in chosen else dense for index in range(layers)), norm)


def sparse_layers(config: Config, layers: int) -> set[int]:
    """The layers with experts: every ``decoder_sparse_step``-th, but for ``mlp_only_layers``."""
    step, dense = config.size("decoder_sparse_step", 1), set(config.indices("mlp_only_layers"))
    return {index for index in range(layers) if (index + 1) % step == 0 and index not in dense}


def gpt_oss(config: Config) -> Architecture:
    """gpt-oss: sinks, biases everywhere, clamped SwiGLU, alternating windows."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width)
    config.ignore("hidden_act swiglu_alpha experts_per_token initial_context_length")
    experts = Moe(
        width,
        config.size("intermediate_size"),
        config.size("num_local_experts"),
        config.size("num_experts_per_tok"),
        "quick_gelu",  # x · sigmoid(1.702 x), which the class writes out whatever hidden_act says
        clamp=config.number("swiglu_limit"),
        expert_bias=True,
        router_bias=True,
    )
    kinds = {
        name: prenorm_block(label, norm, attention=rope_attention(config, sinks=True, window=span), mlp=experts)
        for name, label, span in (("sliding_attention", "local", window(config)), ("full_attention", "global", None))
    }
    pattern = ["full_attention" if index % 2 else "sliding_attention" for index in range(layers)]
    return causal_lm(config, grouped(kinds[kind] for kind in layer_types(config, layers, pattern)), norm)

"""LLaMA and those that differ from it in a bias, a norm or a window."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture
from ..config import Config
from ..rope import query_temperature
from ..rules import (
    causal_lm,
    gated_mlp,
    group_runs,
    layer_types,
    prenorm_block,
    repeat_block,
    rmsnorm,
    rope_attention,
    sliding_window,
)


def llama(config: Config) -> Architecture:
    """LLaMA 1-3 [touvron2023a, touvron2023b, grattafiori2024]."""
    norm = rmsnorm(config, config.size("hidden_size"))
    mlp = gated_mlp(config, bias=config.flag("mlp_bias"))
    block = prenorm_block("block", norm, attention=rope_attention(config), mlp=mlp)
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm)


def mistral(config: Config) -> Architecture:
    """Mistral [jiang2023]: LLaMA with a sliding window and without biases; Ministral 3 with queries scaled by place."""
    norm = rmsnorm(config, config.size("hidden_size"))
    attention = rope_attention(config, bias=False, window=sliding_window(config), **query_temperature(config))
    block = prenorm_block("block", norm, attention=attention, mlp=gated_mlp(config))
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm)


def qwen2(config: Config) -> Architecture:
    """Qwen2 and Qwen2.5: biases on queries, keys and values alone; upper layers may have a window."""
    return _windowed(config, bias=False, q_bias=True, k_bias=True, v_bias=True)


def qwen3(config: Config) -> Architecture:
    """Qwen3: a norm on each query and key head."""
    return _windowed(config, qk_norm="head")


def _windowed(config: Config, **changes: Any) -> Architecture:
    norm = rmsnorm(config, config.size("hidden_size"))
    layers = config.size("num_hidden_layers")
    limit = sliding_window(config)
    limit = limit if config.flag("use_sliding_window") else None
    first = config.count("max_window_layers", layers)
    default = ["sliding_attention" if limit and index >= first else "full_attention" for index in range(layers)]
    kinds = {
        "full_attention": prenorm_block(
            "block", norm, attention=rope_attention(config, **changes), mlp=gated_mlp(config)
        ),
        "sliding_attention": prenorm_block(
            "windowed",
            norm,
            attention=rope_attention(config, window=limit, **changes),
            mlp=gated_mlp(config),
        ),
    }
    return causal_lm(config, group_runs(kinds[kind] for kind in layer_types(config, layers, default)), norm)

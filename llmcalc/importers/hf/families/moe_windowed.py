"""Mixtures of experts whose attention has windows: Mellum, Flint, Kolibri."""

from __future__ import annotations

from ....core.architecture import Architecture, Run
from ....core.errors import DescriptionError
from ....core.layer import Layer
from ..config import Config
from ..decoder import block, periodic_types, windowed_attention
from ..rules import (
    causal_lm,
    experts,
    gated_mlp,
    group_runs,
    hybrid_runs,
    mlp_types,
    rmsnorm,
    rope_attention,
    sliding_window,
)
from .moe import sparse_layers


def mellum(config: Config) -> Architecture:
    """Mellum 2: Qwen3-MoE with windows and dense layers where the config names them."""
    layers = config.size("num_hidden_layers")
    config.ignore("num_mtp_layers mtp_layer_types mtp_mlp_layer_types")  # prediction modules are never built
    attention, order = windowed_attention(config, ["full_attention"] * layers, sliding_window(config), qk_norm="head")
    feeds: dict[str, Layer] = {"sparse": experts(config), "dense": gated_mlp(config)}
    norm = rmsnorm(config, config.size("hidden_size"))
    runs = hybrid_runs(norm, attention, feeds, zip(order, mlp_types(config, layers, dense=0), strict=True))
    return causal_lm(config, runs, norm)


def flint(config: Config) -> Architecture:
    """Flint: sinks, rotation in the layers with a window alone, a shared expert; the first layers dense."""
    layers = config.size("num_hidden_layers")
    last = layers - 1
    pattern = [
        "full_attention" if index < 2 or index % 4 == 1 or index == last else "sliding_attention"
        for index in range(layers)
    ]
    attention, order = windowed_attention(config, pattern, sliding_window(config), qk_norm="head", sinks=True)
    kinds = dict(attention)
    kinds["full_attention"] = rope_attention(config, qk_norm="head", sinks=True, positions="none")
    feeds: dict[str, Layer] = {
        "sparse": experts(
            config,
            router="sigmoid",
            d_ff_shared=config.optional_size("shared_expert_intermediate_size", zero_is_none=True),
        ),
        "dense": gated_mlp(config),
    }
    dense_first = config.get("mlp_only_layers") is None
    chosen = sparse_layers(config, layers) - ({0, 1} if dense_first else set())
    norm = rmsnorm(config, config.size("hidden_size"))
    kind = ["sparse" if index in chosen else "dense" for index in range(layers)]
    return causal_lm(config, hybrid_runs(norm, kinds, feeds, zip(order, kind, strict=True)), norm)


def kolibri1(config: Config) -> Architecture:
    """Kolibri 1: norms before and behind each sub-layer, a shared expert, one layer in five without a window."""
    limit = sliding_window(config)
    attention, order = windowed_attention(config, periodic_types(config, 5, first=4), limit, bias=False, qk_norm="head")
    if "sliding_attention" in order and not limit:
        raise DescriptionError("layers with a window need sliding_window", where=config.where)
    kinds = dict(attention)
    if limit:
        kinds["full_attention"] = rope_attention(config, bias=False, qk_norm="head", positions="none")
    feed = experts(
        config,
        router="sigmoid",
        correction_bias="buffer",
        d_ff_shared=config.optional_size("shared_expert_intermediate_size", zero_is_none=True),
    )
    norm = rmsnorm(config, config.size("hidden_size"))
    blocks = {kind: block(kind, norm, layer, feed, "sandwich") for kind, layer in kinds.items()}
    runs: tuple[Run, ...] = group_runs(blocks[kind] for kind in order)
    return causal_lm(config, runs, norm)

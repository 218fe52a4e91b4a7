"""Latent attention that looks at chosen tokens: DeepSeek-V3.2, GLM-5, A.X K1 and K2, dots.note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block
from ....core.errors import UnknownNameError
from ....core.layer import Layer
from ....layers.mla import Mla
from ..config import Config
from ..rules import causal_lm, gated_mlp, group_runs, hybrid_runs, mlp_types, rmsnorm, sublayer
from .deepseek import mla, shared_experts


def deepseek_v32(config: Config) -> Architecture:
    """DeepSeek-V3.2 [deepseek2025v32]: an indexer in every layer."""
    layers = config.size("num_hidden_layers")
    kinds = mlp_types(config, layers, config.count("first_k_dense_replace", 3))
    return _lm(config, {"full": indexed(config)}, ["full"] * layers, kinds)


def glm_moe_dsa(config: Config) -> Architecture:
    """GLM-5: DeepSeek-V3.2; from 5.2 on, layers without an indexer use the choice of the layer before."""
    layers = config.size("num_hidden_layers")
    kinds = mlp_types(config, layers, config.count("first_k_dense_replace", 3))
    full = indexed(config, index_interleaved=True)
    mixers: dict[str, Layer] = {"full": full, "shared": replace(full, index_heads=None)}
    return _lm(config, mixers, indexers_of(config, layers), kinds)


def indexers_of(config: Config, layers: int) -> list[str]:
    """``full`` or ``shared`` for each layer: a list, letters F and S, or every n-th full from an offset on."""
    pattern = config.get("index_topk_pattern")
    period, offset = max(config.count("index_topk_freq", 1), 1), config.count("index_skip_topk_offset", 2)
    types = config.strings("indexer_types", layers)
    if types is None and isinstance(pattern, str):
        types = [{"F": "full", "S": "shared"}.get(letter, letter) for letter in pattern]
    elif types is None and pattern is not None:
        types = config.strings("index_topk_pattern", layers)
    return types or ["shared" if max(index - offset + 1, 0) % period else "full" for index in range(layers)]


def axk1(config: Config) -> Architecture:
    """A.X K1: DeepSeek-V3 with one more norm behind the experts."""
    norm, routed = rmsnorm(config, config.size("hidden_size")), shared_experts(config)
    attention = sublayer("attention", mla(config), pre=norm)
    blocks = {
        "dense": Block("dense", (attention, sublayer("mlp", gated_mlp(config), pre=norm))),
        "sparse": Block("sparse", (attention, sublayer("mlp", routed, pre=norm, post=norm))),
    }
    return causal_lm(config, group_runs(blocks[kind] for kind in _axk_feeds(config)), norm)


def axk2(config: Config) -> Architecture:
    """A.X K2: gated norms, an output gate, queries from the latent before and after its norm, an indexer."""
    norm = rmsnorm(config, config.size("hidden_size"))
    config.get("layer_types")
    gated = replace(norm, gate_rank=config.size("gated_norm_rank"))
    attention = sublayer("attention", indexed(config, gate="latent", double_latent=True), pre=gated)
    blocks = {
        "dense": Block("dense", (attention, sublayer("mlp", gated_mlp(config), pre=norm))),
        "sparse": Block("sparse", (attention, sublayer("mlp", shared_experts(config), pre=gated))),
    }
    return causal_lm(config, group_runs(blocks[kind] for kind in _axk_feeds(config)), norm)


def _axk_feeds(config: Config) -> list[str]:
    layers = config.size("num_hidden_layers")
    first, period = config.count("first_k_dense_replace", 1), config.size("moe_layer_freq", 1)
    default = ["sparse" if index >= first and index % period == 0 else "dense" for index in range(layers)]
    kinds = config.strings("mlp_layer_types", layers) or default
    wrong = next((kind for kind in kinds if kind not in ("dense", "sparse")), None)
    if wrong is not None:
        raise UnknownNameError("layer type", wrong, ("dense", "sparse"))
    return kinds


def indexed(config: Config, **changes: Any) -> Mla:
    """Latent attention with an indexer."""
    config.ignore("moe_layer_freq mlp_bias indexer_rope_interleave layer_types num_experts")
    fields = {
        "index_heads": config.size("index_n_heads"),
        "index_dim": config.size("index_head_dim"),
        "index_topk": config.size("index_topk"),
    }
    return mla(config, **fields, **changes)


def _lm(config: Config, mixers: dict[str, Layer], types: Sequence[str], kinds: Sequence[str]) -> Architecture:
    norm = rmsnorm(config, config.size("hidden_size"))
    feeds: dict[str, Layer] = {"dense": gated_mlp(config), "sparse": shared_experts(config)}
    return causal_lm(config, hybrid_runs(norm, mixers, feeds, zip(types, kinds, strict=True)), norm)

"""Cohere's Command models: LayerNorm without a bias, attention and MLP side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ....core.architecture import Architecture
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.head import Head
from ....layers.norm import Norm
from ..config import Config
from ..decoder import decoder, periodic_types, windowed_attention
from ..rules import layernorm, lm_head, qk_layernorm, rope_attention, sliding_window

ROTATED = {"full_attention": "none", "sliding_attention": "rope"}  # by kind of layer


def _norm(config: Config) -> Norm:
    return layernorm(config, config.size("hidden_size"), bias=False)


def _head(config: Config) -> Head:
    return lm_head(config, input_scale=config.number("logit_scale", 1.0))


def cohere(config: Config) -> Architecture:
    """Command R: where asked for, a norm with weights of its own for each query and key head."""
    norms = qk_layernorm(config) if config.flag("use_qk_norm") else {}
    attention = rope_attention(config, rope_interleaved=True, **norms)
    return decoder(config, norm=_norm(config), attention=attention, place="parallel", head=_head(config))


def cohere2(config: Config) -> Architecture:
    """Command R7B and A: three layers with a window to one without, and without rotation."""
    count = config.size("sliding_window_pattern", 4)
    return _windowed(config, periodic_types(config, count, first=count - 1))


def cohere_compass(config: Config) -> Architecture:
    """Cohere Compass, the text model: Cohere 2 whose layers all see everything unless ``layer_types`` says else."""
    config.ignore("pooling sliding_window_pattern")
    given = config.get("rope_parameters") or {}
    placed = {
        kind: "none" if given.get(kind, "") is None else "rope" for kind in ("full_attention", "sliding_attention")
    }
    return _windowed(config, ["full_attention"] * config.size("num_hidden_layers"), placed, interleaved=False)


def _placed(layer: Layer, positions: str) -> Layer:
    return replace(layer, positions=positions) if isinstance(layer, Attention) else layer


def _windowed(
    config: Config, pattern: list[str], placed: Mapping[str, str] = ROTATED, interleaved: bool = True
) -> Architecture:
    attention, order = windowed_attention(config, pattern, sliding_window(config), rope_interleaved=interleaved)
    kinds = {kind: _placed(layer, placed[kind]) for kind, layer in attention.items()}
    return decoder(config, norm=_norm(config), attention=kinds, order=order, place="parallel", head=_head(config))

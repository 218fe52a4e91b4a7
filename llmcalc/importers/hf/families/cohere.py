"""Cohere's Command models: LayerNorm without a bias, attention and MLP side by side."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....layers.norm import Norm
from ..config import Config
from ..decoder import decoder, period, windowed
from ..rules import layernorm, rope_attention, window


def _norm(config: Config) -> Norm:
    return layernorm(config, config.size("hidden_size"), bias=False)


def cohere(config: Config) -> Architecture:
    """Command R: where asked for, a norm with weights of its own for each query and key head."""
    config.ignore("logit_scale")
    norms = {"qk_norm": "per_head", "qk_norm_function": "layernorm"} if config.flag("use_qk_norm") else {}
    attention = rope_attention(config, rope_interleaved=True, **norms)  # type: ignore[arg-type]
    return decoder(config, norm=_norm(config), attention=attention, place="parallel")


def cohere2(config: Config) -> Architecture:
    """Command R7B and A: three layers with a window to one without, and without rotation."""
    count = config.size("sliding_window_pattern", 4)
    return _windowed(config, period(config, count, first=count - 1))


def cohere_compass(config: Config) -> Architecture:
    """Cohere Compass, the text model: Cohere 2 whose layers all see everything unless ``layer_types`` says else."""
    config.ignore("pooling sliding_window_pattern")
    return _windowed(config, ["full_attention"] * config.size("num_hidden_layers"), positions="rope")


def _windowed(config: Config, pattern: list[str], positions: str = "none") -> Architecture:
    config.ignore("logit_scale")
    attention, order = windowed(config, pattern, window(config), rope_interleaved=True)
    kinds = dict(attention)
    kinds["full_attention"] = rope_attention(
        config, layer_type="full_attention", rope_interleaved=True, positions=positions
    )
    return decoder(config, norm=_norm(config), attention=kinds, order=order, place="parallel")

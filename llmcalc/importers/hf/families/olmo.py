"""OLMo and EXAONE 4: norms without weights, then norms on what a sub-layer gives instead of on what it takes."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....core.errors import SizeError
from ....layers.norm import Norm
from ..config import Config
from ..decoder import decoder, periodic_types, windowed_attention
from ..rules import rope_attention, sliding_window


def olmo(config: Config) -> Architecture:
    """OLMo [groeneveld2024]: LayerNorm without weights, clipped queries, keys and values."""
    norm = Norm(config.size("hidden_size"), "layernorm", scale=False)
    return decoder(config, norm=norm, attention=rope_attention(config, clip=config.number("clip_qkv")))


def olmo2(config: Config) -> Architecture:
    """OLMo 2 [olmo2024]: norms behind the sub-layers and on all queries and keys together."""
    return decoder(config, attention=rope_attention(config, qk_norm="projection"), place="post")


def olmo3(config: Config) -> Architecture:
    """OLMo 3: OLMo 2 with a window in three of four layers."""
    pattern = periodic_types(config, 4, first=3)
    attention, order = windowed_attention(config, pattern, sliding_window(config), qk_norm="projection")
    return decoder(config, attention=attention, order=order, place="post")


def exaone4(config: Config) -> Architecture:
    """EXAONE 4.0: three layers with a window to one without, and without rotation."""
    limit, pattern = sliding_window(config), config.get("layer_types")
    count = config.count("sliding_window_pattern", 4)
    if pattern is None:
        if not limit or not count:
            text = "layer_types is missing, and without sliding_window and its pattern it cannot be made up"
            raise SizeError(text, where=config.where)
        pattern = periodic_types(config, count, first=count - 1)
    attention, order = windowed_attention(config, pattern, limit, bias=False, qk_norm="head")
    kinds = dict(attention)
    if limit:
        kinds["full_attention"] = rope_attention(config, bias=False, qk_norm="head", positions="none")
    return decoder(config, attention=kinds, order=order, place="post")

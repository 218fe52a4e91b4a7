"""Muse Glimmer: gated attention with and without rotary positions, norms around each sub-layer and on embeddings."""

from __future__ import annotations

import math
from dataclasses import replace

from ....core.architecture import Architecture, Block, Named
from ....core.errors import SizeError
from ....layers.attention import Attention
from ....layers.norm import Norm
from ..config import Config
from ..rules import (
    causal_lm,
    gated_mlp,
    layer_types,
    lm_head,
    rmsnorm,
    rope_attention,
    runs_by_type,
    sliding_window,
    sublayer,
)

PERIOD = 4  # layers of which one has neither a window nor positions


def muse_glimmer(config: Config) -> Architecture:
    """Muse Glimmer's language model."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    before, behind = (rmsnorm(config, width, key, unit_offset=True) for key in ("rms_norm_eps", "post_norm_eps"))
    mlp = sublayer("mlp", gated_mlp(config, activation="hidden_activation"), pre=before, post=behind)
    attention = {f"{place}{how}": layer for place, how, layer in _attention(config)}
    blocks = {
        name: Block(name, (sublayer("attention", layer, pre=before, post=behind), mlp))
        for name, layer in attention.items()
    }
    pattern = ["sliding_attention" if (layers - 1 - index) % PERIOD else "full_attention" for index in range(layers)]
    types = layer_types(config, layers, pattern)
    order = [_PLACES.get(kind, kind) + how for kind, how in zip(types, _rotated(config, layers), strict=True)]
    scale, cap = config.number("output_multiplier", 1.0) or 1.0, config.number("final_logit_softcapping")
    norm = rmsnorm(config, width)
    return causal_lm(
        config,
        runs_by_type(blocks, order),
        norm,
        head=lm_head(config, input_scale=scale, softcap=cap),
        inputs=(Named("embedding_norm", Norm(width, "rmsnorm", scale=False, eps=norm.eps)),),
    )


_PLACES = {"full_attention": "global", "sliding_attention": "local"}


def _attention(config: Config) -> list[tuple[str, str, Attention]]:
    """Attention with a window and without, with rotary positions and without."""
    rotated = rope_attention(config, gated=True, gate_bias="none", qk_norm="head", qk_norm_scale=False)
    scale = (config.number("qk_scale_factor", 1.0) or 1.0) / math.sqrt(rotated.d_head or 1)
    return [
        (place, how, replace(rotated, scale=scale, window=limit, positions=positions))
        for place, limit in (("global", None), ("local", sliding_window(config)))
        for how, positions in (("", "rope"), ("_unplaced", "none"))
    ]


def _rotated(config: Config, layers: int) -> list[str]:
    """What of each layer's name says whether it has positions: those of base 0 in ``layer_rope_theta`` have none."""
    bases = config.get("layer_rope_theta")
    if bases is None:
        return ["" if (layers - 1 - index) % PERIOD else "_unplaced" for index in range(layers)]
    if not isinstance(bases, list) or len(bases) != layers:
        raise SizeError(f"layer_rope_theta has no entry for each of the {layers} layers", where=config.where)
    return ["" if config.finite_number(base, "layer_rope_theta") else "_unplaced" for base in bases]

"""Granite's constant factors on embeddings, residuals and logits, and its rotary bases by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....core.errors import DescriptionError, SizeError, shown
from ....core.layer import Layer
from ..config import Config
from ..rules import lm_head, rope_attention, sliding_window


def multipliers(config: Config) -> dict[str, Any]:
    """The fields of a decoder that hold them; logits are divided by ``logits_scaling``."""
    divisor = config.number("logits_scaling", 1.0)
    if not divisor:
        raise DescriptionError("logits_scaling is 0; logits are divided by it", where=config.where)
    return {
        "embedding_scale": config.number("embedding_multiplier", 1.0),
        "scale": config.number("residual_multiplier", 1.0),
        "head": lm_head(config, input_scale=1 / divisor),
    }


def by_base(config: Config, types: Sequence[str], **changes: Any) -> tuple[Mapping[str, Layer], list[str]]:
    """Attention for each kind and rotary base, and their order; a base of 0 or nothing: a layer without rotation."""
    bases = config.get("layer_rope_theta")
    if bases is None:
        bases = [config.rope_theta()] * len(types)
    if not isinstance(bases, list):
        raise DescriptionError(f"layer_rope_theta is {shown(bases)}; it is a list of numbers", where=config.where)
    if len(bases) != len(types):
        raise SizeError(f"layer_rope_theta has {len(bases)} entries for {len(types)} layers", where=config.where)
    spans = {"full_attention": None, "sliding_attention": sliding_window(config)}
    bases = [None if base is None else config.finite_number(base, "layer_rope_theta") or None for base in bases]
    seen = {base: index for index, base in enumerate(dict.fromkeys(bases))}
    names = [f"{kind}_{seen[base]}" if seen[base] else kind for kind, base in zip(types, bases, strict=True)]
    kinds: dict[str, Layer] = {}
    for name, kind, base in zip(names, types, bases, strict=True):
        if kind in spans and name not in kinds:
            placed = {"positions": "none"} if base is None else {"rope_theta": base}
            kinds[name] = rope_attention(config, **{"window": spans[kind], **placed, **changes})
    return kinds, names

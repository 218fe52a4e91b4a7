"""Chameleon: a decoder that reads and writes image tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture
from ....importers.hf.composite_models import config_at
from ....importers.hf.config import Config
from ....importers.hf.decoder import decoder
from ....importers.hf.rules import gated_mlp, lm_head, rope_attention
from ....importers.hf.unexecuted_parts import IMAGE_TOKENIZER_NOTE, read_parts

IMAGE = "IMGIMG"  # prefix of the names of image tokens


def chameleon(config: Config) -> Architecture:
    """Chameleon's language model and image tokenizer: a LayerNorm with its own weights on each query and key head."""
    config.ignore("model_parallel_size")
    bare = config.head_kind() == "none"
    config.override("architectures", ["Model"] if bare else None)
    norms = {"qk_norm": "per_head", "qk_norm_function": "layernorm", "qk_norm_bias": True, "qk_norm_eps": 1e-5}
    attention, mlp = rope_attention(config, **norms), gated_mlp(config, bias=config.flag("mlp_bias"))  # type: ignore[arg-type]
    place, head = "post" if config.flag("swin_norm") else "pre", lm_head(config, **_image_tokens(config))
    found = decoder(config, attention=attention, mlp=mlp, place=place, head=head)
    codes = config.nested("vq_config", config_at(config, "vq_config"), "chameleon_vqgan")
    stacks = (*found.stacks, *read_parts(codes, "vqmodel"))
    return replace(found, stacks=stacks, notes=(*found.notes, IMAGE_TOKENIZER_NOTE))


def _image_tokens(config: Config) -> dict[str, Any]:
    """Head fields for image tokens, which the class never predicts."""
    names = config.get("vocabulary_map")
    if names is None:
        return {}
    if not isinstance(names, dict):
        raise config.error("vocabulary_map must map token names to ids")
    found = [config.integer(number, "vocabulary_map", 0) for name, number in names.items() if name.startswith(IMAGE)]
    if not found:
        return {}
    first, last = min(found), max(found)
    if last - first + 1 != len(set(found)):
        config.add_unmodelled("its image tokens, which are never predicted, do not have consecutive ids")
        return {}
    return {"barred": len(set(found)), "barred_from": first}

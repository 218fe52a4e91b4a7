"""FLAVA's text tower: BERT with its norms before the sub-layers."""

from .bert import ENCODER, pre_norms

PREFIX = "text_model."
_NORMS = (
    pre_norms(f"{PREFIX}encoder", "layernorm_after", "layernorm_before")
    .replace("attention.layernorm_before", "layernorm_before")
    .replace(f"{PREFIX}encoder.layernorm_after", f"{PREFIX}layernorm")
)
TEXT = _NORMS + ENCODER.replace("{m}.", PREFIX).replace("attention.self.", "attention.attention.")

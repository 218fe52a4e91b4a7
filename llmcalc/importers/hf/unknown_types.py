"""Advice for an unsupported ``model_type``, based on its modality and the most similar family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...core.errors import DescriptionError
from ...data import table
from .class_defaults import is_irrelevant
from .composite_configs import ENCODED, text_models
from .config import Config
from .config_keys import is_draft_class
from .family_table import names

ENCODED_MODALITIES = ("images", "sound")  # types that also serve language models as encoders
_SEGMENTATION = re.compile(r"(sam\d?|sam_hq)_\w*(mask_decoder|prompt_encoder|geometry_encoder|detr_(en|de)coder)")


def advice(data: Mapping[str, Any]) -> str:
    """Return advice for a config with an unknown ``model_type``."""
    model_type = data.get("model_type")
    if model_type in ENCODED:
        return "The key decoder must contain the config of the language model, including a model_type."
    other = modality(str(model_type))
    if other:
        within = "; as an encoder, it is counted with its language model" if other in ENCODED_MODALITIES else ""
        return (
            f"This is not a language model but a model of {other}{within}. "
            "To count the tensors of its checkpoint, use llmcalc params FILE.safetensors."
        )
    similar = most_similar(data)
    return f"Its keys are most similar to those of {similar}. Use {{as_={similar}}} to read it by those rules."


def draft_model_error(data: Mapping[str, Any], where: str) -> DescriptionError | None:
    """Return an error about a draft model for speculative decoding, or None for other models."""
    known: list[str] = table("config_keys")["draft_models"]["keys"]
    if data.keys().isdisjoint(known) and not is_draft_class(str(data.get("architectures"))):
        return None
    hint = "Load the target model. To count the tensors of the draft model, use llmcalc params FILE.safetensors."
    return DescriptionError("is a draft model, which only runs with its target model", where=where, hint=hint)


def modality(model_type: str) -> str | None:
    """Return the modality of a non-text model type, such as ``images``, or None for text models and unknown types."""
    if model_type in text_models():
        return None
    if _SEGMENTATION.fullmatch(model_type):
        return "images"
    for name, known in table("other_models").items():
        listed = model_type in known["models"] or model_type in known.get("parts", ())
        if listed or model_type.endswith(tuple(known.get("suffixes", ()))):
            return str(name)
    return None


def most_similar(data: Mapping[str, Any]) -> str:
    """Return the family that recognises the most config keys. Ties go to the first family in the table."""
    keys = {key for key in data if not is_irrelevant(key)}
    return min(names(), key=lambda model_type: len(keys.difference(Config({}, model_type, "").known_keys())))

"""Retrieval models [faysse2024] that embed each token of a page or question with a vision-language model."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....core.errors import UnknownNameError, short_repr
from ....importers.hf.composite_configs import language_model, other_parts, text_models
from ....importers.hf.config import Config, Fields
from ....importers.hf.family_table import find, names
from ....layers import Linear, Norm

WITHIN = "vlm_config"
INNER = {"colpali": "paligemma", "colqwen2": "qwen2_vl", "colmodernvbert": "modernvbert"}  # default inner types


def retrieval(config: Config) -> Architecture:
    """Build ColPali, ColQwen2 or ColModernVBERT from an inner model without a head, a projection, and a unit norm."""
    name = config.class_name()
    if name and not name.endswith("ForRetrieval"):
        raise config.error(f"{short_repr(name)} is not a retrieval class")
    config.override("architectures", ["ForCausalLM"])  # the only class
    config.ignore("tie_word_embeddings is_encoder_decoder")
    value = config.get(WITHIN) or {}
    if not isinstance(value, dict):
        raise config.invalid(WITHIN, "an object", value)
    whole = {"model_type": INNER[config.model_type], **value}
    data, entry, layout = whole, find(str(whole["model_type"])), "retrieval"
    if entry is None:
        data = dict(language_model(whole) or {"model_type": text_models().get(str(whole["model_type"]))})
        layout = "retrieval_text"
        entry = find(str(data.get("model_type")))
    if entry is None:
        raise UnknownNameError(f"{WITHIN} model_type", str(whole["model_type"]), names(), where=config.where)
    part = config.nested(WITHIN, {**data, "architectures": ["Model"]}, entry.model_type)
    found = entry.read(part)
    part.check_all_read()
    config.unmodelled += part.unmodelled
    own, main = found.layout or entry.layout, found.main
    width, out = main.d_model, config.size("embedding_dim")
    ends = (Named("projection", Linear(width, out)), Named("unit", Norm(out, "l2norm", scale=False, eps=0.0)))
    stacks = tuple(
        replace(stack, outputs=(*stack.outputs, *ends)) if stack is main else stack for stack in found.stacks
    )
    notes = found.notes if data is whole else (*found.notes, _not_counted(whole))
    return replace(found, stacks=stacks, layout=f"{layout}>{own}.bare", notes=notes)


def _not_counted(whole: Fields) -> str:
    parts = ", ".join(other_parts(whole)) or "the image encoder"
    return f"only the language model of {short_repr(whole['model_type'])} is supported; not counted: {parts}"

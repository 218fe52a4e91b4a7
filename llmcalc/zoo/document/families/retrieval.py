"""Models that embed pages and questions token by token: a projection behind a model that sees [faysse2024]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named
from ....core.errors import UnknownNameError, shown
from ....importers.hf.composite_configs import USUAL, language_model, towers
from ....importers.hf.config import Config
from ....layers import Linear, Norm

WITHIN = "vlm_config"
SEEING = {"colpali": "paligemma", "colqwen2": "qwen2_vl", "colmodernvbert": "modernvbert"}  # the type within


def retrieval(config: Config) -> Architecture:
    """ColPali, ColQwen2, ColModernVBERT: whatever model stands within, without its head, and vectors of length 1."""
    from ....importers.hf.families import find, names

    name = config.class_name()
    if name and not name.endswith("ForRetrieval"):
        raise config.error(f"{shown(name)} is no class for retrieval")
    config.override("architectures", ["ForCausalLM"])  # there is one class
    config.ignore("tie_word_embeddings is_encoder_decoder")
    whole = _whole(config)
    data, entry, layout = whole, find(str(whole["model_type"])), "retrieval"
    if entry is None:
        data = dict(language_model(whole) or {"model_type": USUAL.get(str(whole["model_type"]))})
        layout = "retrieval_text"
        entry = find(str(data.get("model_type")))
    if entry is None:
        raise UnknownNameError(f"model_type of {WITHIN}", str(whole["model_type"]), names(), where=config.where)
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
    notes = found.notes if data is whole else (*found.notes, _left(whole))
    return replace(found, stacks=stacks, layout=f"{layout}>{own}.bare", notes=notes)


def _whole(config: Config) -> dict[str, Any]:
    value = config.get(WITHIN) or {}
    if not isinstance(value, dict):
        raise config.error(f"{WITHIN} is {shown(value)}; it is an object")
    return {"model_type": SEEING[config.model_type], **value}


def _left(whole: dict[str, Any]) -> str:
    beside = ", ".join(towers(whole)) or "what makes tokens of images"
    return f"{shown(whole['model_type'])} is not understood as a whole: its language model; not counted: {beside}"

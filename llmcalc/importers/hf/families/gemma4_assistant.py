"""Gemma 4's assistant: a small model that drafts tokens from the hidden states, keys and values of the large one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named
from ....core.errors import DescriptionError, SizeError, shown
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.linear import Linear
from ..config import Config
from ..rules import TOKENS
from .gemma4 import gemma4


def assistant(config: Config) -> Architecture:
    """Layers that all reuse keys and values, between projections from and to the width of the large model."""
    width = config.size("backbone_hidden_size")
    text = _text(config)
    stack = gemma4(text).main
    text.ignore("is_encoder_decoder")
    text.check_all_read()
    vocab, hidden = text.size("vocab_size"), stack.d_model
    if any(entry.name == "per_layer" for entry in stack.inputs):
        raise DescriptionError(
            "hidden_size_per_layer_input is not 0: there are no token ids to look up", where=text.where
        )
    tied = config.flag("tie_word_embeddings", True)
    token = Named("token", Embedding(vocab, hidden, share=TOKENS, unused=True))
    inputs = (token, Named("pre_projection", Linear(2 * width, hidden, bias=False)))
    outputs = [*stack.outputs[:1], Named("post_projection", Linear(hidden, width, bias=False))]
    scored, clusters = None, config.size("num_centroids")
    if config.flag("use_ordered_embeddings"):
        if clusters > vocab:
            raise SizeError(f"num_centroids ({clusters}) is more than vocab_size ({vocab})", where=config.where)
        scored = min(config.size("centroid_intermediate_top_k"), clusters) * (
            vocab // clusters
        )  # rounded down there too
        outputs.append(Named("centroids", Linear(hidden, clusters, bias=False, positions="logits")))
    config.ignore("centroid_intermediate_top_k")
    if config.head_kind() != "none":
        outputs.append(Named("head", Head(vocab, hidden, share=TOKENS if tied else None, scored=scored)))
    return Architecture(config.model_type, (replace(stack, inputs=inputs, outputs=tuple(outputs)),))


def _text(config: Config) -> Config:
    """The keys of ``text_config``, in which all layers reuse keys and values unless it says how many."""
    given = config.get("text_config") or {}
    if not isinstance(given, dict):
        raise DescriptionError(f"text_config is {shown(given)}; it is an object", where=config.where)
    data: dict[str, Any] = {key: value for key, value in given.items() if key != "architectures"}
    model_type = config.model_type.replace("assistant", "text")
    if data.setdefault("model_type", model_type) != model_type:
        text = f"model_type of text_config is {shown(data['model_type'])}; it is {model_type}"
        raise DescriptionError(text, where=config.where)
    text_config = config.nested("text_config", data, model_type)
    if not data.get("num_kv_shared_layers"):
        text_config.data["num_kv_shared_layers"] = text_config.size("num_hidden_layers")
    return text_config

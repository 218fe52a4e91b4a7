"""Encoders of a text together with an image: VisualBERT."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ..config import Config
from .bert import encoder, with_head


def visual_bert(config: Config) -> Architecture:
    """VisualBERT [li2019], read without an image: what brings regions of one among the tokens is idle."""
    width = config.size("hidden_size")
    config.ignore("special_visual_initialize")
    kinds, rows = config.size("type_vocab_size"), config.size("max_position_embeddings")
    idle = (
        Named("image_segment", Embedding(kinds, width, table="segment", unused=True)),
        Named("image_position", Embedding(rows, width, table="position", unused=True)),
        Named("image_projection", Linear(config.size("visual_embedding_dim"), width, unused=True)),
    )
    stack = encoder(config, more=idle)
    if config.flag("bypass_transformer"):
        stack = replace(stack, inputs=(*stack.inputs, *_bypass(stack.runs[0].block)))
    if not config.head():
        config.fix("architectures", ["ForPreTraining"])
    return with_head(config, stack)


def _bypass(block: Block) -> tuple[Named, ...]:
    """One more block, in which an image joins the text."""
    idle: list[Named] = []
    for part in block.sublayers:
        layers = {f"bypass_{part.name}": part.branches[0].layer, f"bypass_{part.name}_norm": part.after}
        idle += [Named(name, replace(layer, unused=True)) for name, layer in layers.items() if layer]  # type: ignore[type-var]
    return tuple(idle)

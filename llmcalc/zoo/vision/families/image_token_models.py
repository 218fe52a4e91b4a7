"""Janus [wu2024]: a tower for images that are seen, and tables and layers for those that are made."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.seeing import text_config
from ....importers.hf.projectors import named
from ....importers.hf.unexecuted_parts import read_parts
from ....importers.hf.vision_encoders import clip as towers
from ....importers.hf.vision_encoders import vit as vits
from ....layers.embedding import Embedding
from ....layers.linear import Linear

NOTE = "what makes images is stored and not counted as work"


def janus(config: Config) -> Architecture:
    """The language model, the tower with its aligner, and the layers around the tokens of images that are made."""
    text = text_part(config, "llama", text_config(config))
    part = config.nested("vision_config", given(config, "vision_config"), "janus_vision_model")
    tower = vits.read(part)
    seen = _aligner("aligner", tower.d_model, part.size("projection_dim"), part.size("depth"), part.activation())
    codes = config.nested("vq_config", given(config, "vq_config"), "janus_vqgan")
    made, coded = _made(codes), read_parts(codes, "vqmodel")
    towers.checked(part)
    config.ignore(OUTER)
    tower = replace(tower, outputs=(*tower.outputs, *seen))
    stack = Stack("generation", codes.size("projection_dim"), (), (), tuple(made), "tower", unused=True)
    notes = (*text.notes, NOTE)
    return replace(text, stacks=(*text.stacks, tower, stack, *coded), layout=f"janus>{text.layout}", notes=notes)


def _made(config: Config) -> list[Named]:
    """A table of the codes of an image, what leads from it to the language model, and a head over it."""
    rows, width, out = (config.size(key) for key in ("num_embeddings", "embed_dim", "projection_dim"))
    layers = _aligner("made", width, out, config.size("num_hidden_layers"), config.activation(), unused=True)
    head = named(
        code_head_in=Linear(config.size("image_token_embed_dim"), out, unused=True),
        code_head=Linear(out, rows, unused=True),
    )
    table = named(codes=Embedding(rows, width, table="other", unused=True))
    return [*table, *layers, *head]


def _aligner(name: str, width: int, out: int, count: int, act: str, unused: bool = False) -> list[Named]:
    """A layer, and further ones behind an activation."""
    first = Named(f"{name}_in", Linear(width, out, activation=act if count > 1 else "identity", unused=unused))
    behind = [
        Named(f"{name}{index}", Linear(out, out, activation=act if index < count - 2 else "identity", unused=unused))
        for index in range(count - 1)
    ]
    return [first, *behind]

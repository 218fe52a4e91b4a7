"""Encoders of pages, whose tokens have places: MarkupLM."""

from __future__ import annotations

from ....core.architecture import Architecture, Named
from ....core.errors import SizeError
from ....layers.linear import Linear
from ....layers.path_embedding import PathEmbedding
from ..config import Config
from .bert import behind_padding, encoder, finish, pooler

INNER = 4  # times the width: that of the layer within the embedding of a path


def markuplm(config: Config) -> Architecture:
    """MarkupLM [li2021]: RoBERTa whose tokens have a place in the tree of a page; a first matrix of paths is idle."""
    width, depth, unit = config.size("hidden_size"), config.size("max_depth"), config.size("xpath_unit_hidden_size")
    tags, numbers = (config.size(f"max_xpath_{kind}_unit_embeddings") for kind in ("tag", "subs"))
    missing = config.count("tag_pad_id"), config.count("subs_pad_id")
    for rows, entry in zip((tags, numbers), missing, strict=True):
        if entry >= rows:
            raise SizeError(f"there is no entry {entry} in a table of {rows}", where=config.where)
    paths = (
        Named("path", PathEmbedding(depth, tags, numbers, unit, INNER * width, width, *missing)),
        Named("idle_path", Linear(depth * unit, width, unused=True)),
    )
    stack = behind_padding(config, encoder(config, more=paths))
    config.fix("architectures", ["Model"])
    return finish(config, stack, [pooler(stack.d_model)])

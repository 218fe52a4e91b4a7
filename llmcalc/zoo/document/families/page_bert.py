"""BERT variants with embeddings of page positions (LayoutLM) or table cells (TAPAS)."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....importers.hf.config import Config
from ....importers.hf.families.bert import encoder, with_head
from ....layers import Embedding, Ids

# read only by the question-answering heads
_TAPAS_HEADS = (
    "positive_label", "num_aggregation", "aggregation_", "use_", "answer_loss", "huber_loss", "temperature",
    "average_", "cell_selection", "max_num_", "select_one", "allow_empty", "init_cell", "disable_per", "no_aggregation",
)  # fmt: skip


def layoutlm(config: Config) -> Architecture:
    """Build LayoutLM [xu2019] with page position embeddings and a pooler that runs alongside the head."""
    rows, width = config.size("max_2d_position_embeddings"), config.d_model
    edges = {"x": "left_right", "y": "upper_lower", "h": "height", "w": "width"}
    places = tuple(
        Named(f"position_{axis}", Embedding(rows, width, table="position", ids=Ids(edges=of)))
        for axis, of in edges.items()
    )
    return with_head(config, encoder(config, more=places), pooled=True)


def tapas(config: Config) -> Architecture:
    """Build TAPAS from BERT, with a separate embedding for each property of a table cell."""
    config.ignore(" ".join(key for key in config.defaults if key.startswith(_TAPAS_HEADS)))
    anew = config.flag("reset_position_index_per_cell", True)
    width, sizes = config.d_model, config.layer_indices("type_vocab_sizes")
    places = tuple(
        Named(f"segment{number}", Embedding(rows, width, "segment", ids=Ids(column=number)))
        for number, rows in enumerate(config.integer(size, "type_vocab_sizes", 1) for size in sizes)
    )
    stack = encoder(config, segments=False, more=places)
    token, (name, position), *rest = stack.inputs
    cells = Named(name, replace(position, ids=Ids(by_cell=anew)))  # type: ignore[type-var]
    return with_head(config, replace(stack, inputs=(token, cells, *rest)))

"""Table of encoders by ``model_type``, with config readers and tensor layouts.

The table is stored in ``data/encoders.yaml``, and in ``zoo/<package>/encoders.yaml`` for encoders in the zoo.
Vision transformers that differ only in field values are defined entirely in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ...core.architecture import Stack
from ...core.record import NamedTuple
from .config import Config
from .family_table import find_function, find_row

NO_FIELDS: Mapping[str, Any] = {}
TRANSFORMER = "vision_encoders.transformer.read"
# keys of encoder configs that change neither sizes nor computation
_IGNORED = """
    projection_dim vocab_size is_encoder_decoder tie_word_embeddings projector_hidden_act vision_feature_layer
    max_image_size size use_base_siglip image_seq_length video_seq_length max_position_embeddings
"""


class Encoder(NamedTuple):
    """A row in the table of encoders.

    Attributes:
        model_type: ``model_type`` of the encoder.
        place: path of the function that reads the config, as ``folder.module.function``.
        layout: tensor layout.
        prefix: number of learned tokens before the patches.
        fields: field values of a vision transformer.
    """

    model_type: str
    place: str
    layout: str = ""
    prefix: int | None = None
    fields: Mapping[str, Any] = NO_FIELDS

    def read(self, config: Config) -> tuple[Stack, ...]:
        """Return the stacks described by a config, excluding the projector."""
        read: Callable[[Config], Stack | tuple[Stack, ...]] = find_function(self.place)
        found = read(config)
        return (found,) if isinstance(found, Stack) else found


@cache
def find_encoder(model_type: str) -> Encoder | None:
    """Return the encoder for a ``model_type``, or None."""
    entry = find_row("encoders", model_type)
    if entry is None:
        return None
    if isinstance(entry, str):
        return find_encoder(entry)
    fields = {key: value for key, value in entry.items() if key not in ("read", "layout")}
    return Encoder(model_type, entry.get("read", TRANSFORMER), entry.get("layout", ""), entry.get("prefix"), fields)


def check_encoder(config: Config) -> None:
    """Raise an error if an encoder's config has an unread key."""
    config.ignore(_IGNORED)
    config.check_all_read()

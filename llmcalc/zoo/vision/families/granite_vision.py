"""Granite 4 Vision: several encoder layers, each projected by a Q-Former over windows into its own decoder layer."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.architecture import Architecture, Named, Stack
from ....core.errors import short_repr
from ....importers.hf.composite_models import config_at, read_composite, vision_language
from ....importers.hf.config import Config
from ....importers.hf.encoders import check_encoder, find_encoder
from ....importers.hf.projectors import Link, vector
from ....importers.hf.unexecuted_parts import list_parts

OFFSETS = 4  # corners from which an encoder layer is sampled
PAIR = 2
NOTE = "not counted as work: the Q-Formers over windows of patches, which are stored"


def granite4_vision(config: Config) -> Architecture:
    """The language model, the encoder, and a projector for each decoder layer that receives image features."""
    kind = str(config_at(config, "vision_config").get("model_type", "clip_vision_model"))
    if find_encoder(kind) is None:
        raise config.error(f"unknown vision encoder {short_repr(kind)}")
    return read_composite(config, MODEL)


def _project(link: Link) -> Sequence[Named | Stack]:
    model = link.model
    inner = model.nested("qformer_config", config_at(model, "qformer_config"), "blip_2_qformer")
    layers = model.get("deepstack_layer_map")
    if not isinstance(layers, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == PAIR for pair in layers
    ):
        said = f"deepstack_layer_map must be a list of pairs of layers, not {short_repr(layers)}"
        raise model.error(said)
    n_queries, n_patches = (side**2 for side in _sides(model))
    sizes = {"n_layers": len(layers), "n_offsets": OFFSETS, "n_queries": n_queries, "n_patches": n_patches}
    found = list_parts(inner, "", "granite4_vision_projectors", width=link.d_encoder, d_text=link.d_model, **sizes)
    check_encoder(inner)
    return [Named("newline", vector(link.d_model)), *found]


def _sides(config: Config) -> tuple[int, int]:
    """Queries and patches along a side of a window."""
    rate = config.string("downsample_rate", "")
    parts = rate.split("/")
    if len(parts) != PAIR or not all(each.isdecimal() and int(each) for each in parts):
        said = f"downsample_rate must be two sides of a window, such as 1/4, not {short_repr(rate)}"
        raise config.error(said)
    return int(parts[0]), int(parts[1])


MODEL = vision_language(
    "granite4_vision_text",
    "clip_vision_model",
    _project,
    note=NOTE,
    ignored="vision_feature_layer spatial_vision_layer spatial_target_layers projector_dropout",
)

"""Granite 4 Vision: several layers of a tower, each through a Q-Former over windows into a layer of its own."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....core.errors import DescriptionError, shown
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.seeing import text_config
from ....importers.hf.unexecuted_parts import list_parts
from ....importers.hf.vision_encoders import clip as towers
from ....layers.embedding import Embedding

OFFSETS = 4  # corners from which a layer of the tower is sampled
PAIR = 2
NOTE = "Q-Formers over windows of patches stand between; they are stored, and not counted as work"


def granite4_vision(config: Config) -> Architecture:
    """The language model, the tower, and a projector for each layer that is given what the tower saw."""
    text = text_part(config, "granite4_vision_text", text_config(config), own_tie=False)
    seen = given(config, "vision_config")
    kind = str(seen.get("model_type", "clip_vision_model"))
    if kind not in towers.TOWERS:
        raise DescriptionError(f"a tower of type {shown(kind)} is not modelled before Granite", where=config.where)
    stack = towers.read(config.nested("vision_config", seen, kind))
    width, out = stack.d_model, text.main.d_model
    inner = config.nested("qformer_config", given(config, "qformer_config"), "blip_2_qformer")
    layers = config.get("deepstack_layer_map")
    if not isinstance(layers, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == PAIR for pair in layers
    ):
        said = f"deepstack_layer_map is {shown(layers)}; it is a list of pairs of layers"
        raise DescriptionError(said, where=config.where)
    n_queries, n_patches = (side**2 for side in _sides(config))
    sizes = {"n_layers": len(layers), "n_offsets": OFFSETS, "n_queries": n_queries, "n_patches": n_patches}
    projectors = list_parts(inner, "", "granite4_vision_projectors", width=width, d_text=out, **sizes)
    towers.checked(inner)
    config.ignore(f"{OUTER} image_token_index image_grid_pinpoints vision_feature_select_strategy vision_feature_layer")
    config.ignore("spatial_vision_layer spatial_target_layers projector_dropout")
    newline = Named("newline", Embedding(1, out, table="other", use="side_tokens"))
    stack = replace(stack, outputs=(*stack.outputs, newline))
    stacks = (*text.stacks, stack, *projectors)
    return replace(text, stacks=stacks, layout=f"granite4_vision>{text.layout}", notes=(*text.notes, NOTE))


def _sides(config: Config) -> tuple[int, int]:
    """Queries and patches along a side of a window."""
    given_rate = config.string("downsample_rate", "")
    parts = given_rate.split("/")
    if len(parts) != PAIR or not all(each.isdecimal() and int(each) for each in parts):
        said = f"downsample_rate is {shown(given_rate)}; it is two sides of a window, such as 1/4"
        raise DescriptionError(said, where=config.where)
    return int(parts[0]), int(parts[1])

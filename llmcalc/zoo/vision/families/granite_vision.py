"""Granite 4 Vision: several layers of a tower, each through a Q-Former over windows into a layer of its own."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....core.errors import DescriptionError, shown
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.seeing import text_config
from ....importers.hf.unexecuted_parts import Tensors, linear, lone, norm, part, under
from ....importers.hf.vision_encoders import clip as towers
from ....layers.embedding import Embedding

OFFSETS = 4  # corners from which a layer of the tower is sampled
HEAD = 64  # width of a head of the Q-Formers
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
    layers, sides = config.get("deepstack_layer_map"), _sides(config)
    if not isinstance(layers, list) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == PAIR for pair in layers
    ):
        said = f"deepstack_layer_map is {shown(layers)}; it is a list of pairs of layers"
        raise DescriptionError(said, where=config.where)
    places = [f"layerwise_projectors.{number}" for number in range(len(layers))]
    places += [f"spatial_projectors.{number}" for number in range(OFFSETS)]
    found = [named for place in places for named in under(place, _projector(inner, width, out, sides))]
    towers.checked(inner)
    config.ignore(f"{OUTER} image_token_index image_grid_pinpoints vision_feature_select_strategy vision_feature_layer")
    config.ignore("spatial_vision_layer spatial_target_layers projector_dropout")
    newline = Named("newline", Embedding(1, out, table="other", use="beside"))
    stack = replace(stack, outputs=(*stack.outputs, newline))
    stacks = (*text.stacks, stack, part("projectors", found))
    return replace(text, stacks=stacks, layout=f"granite4_vision>{text.layout}", notes=(*text.notes, NOTE))


def _sides(config: Config) -> tuple[int, int]:
    """Queries and patches along a side of a window."""
    given_rate = config.string("downsample_rate", "")
    parts = given_rate.split("/")
    if len(parts) != PAIR or not all(each.isdecimal() and int(each) for each in parts):
        said = f"downsample_rate is {shown(given_rate)}; it is two sides of a window, such as 1/4"
        raise DescriptionError(said, where=config.where)
    return int(parts[0]), int(parts[1])


def _projector(config: Config, width: int, out: int, sides: tuple[int, int]) -> Tensors:
    """A query for each place of the smaller window, positions in the larger one, a Q-Former and a matrix."""
    queries, patches = (side * side for side in sides)
    yield from lone("query", 1, queries, width)
    yield from lone("image_positions", 1, patches, width)
    yield from under("qformer", _qformer(config, width))
    yield from norm("norm", width)
    yield from linear("out_linear", width, out)


def _qformer(config: Config, width: int) -> Tensors:
    """BLIP-2's [li2023blip2], as wide as the tower."""
    config.ignore("hidden_size num_attention_heads encoder_hidden_size vocab_size max_position_embeddings pad_token_id")
    config.ignore("hidden_act layer_norm_eps initializer_range position_embedding_type")
    d_ff, period = config.size("intermediate_size"), config.size("cross_attention_frequency")
    yield from norm("layernorm", width)
    for number in range(config.size("num_hidden_layers")):
        place = f"encoder.layer.{number}"
        for each in ("attention", *(["crossattention"] if number % period == 0 else [])):
            matrices = (linear(f"attention.{name}", width, width) for name in ("query", "key", "value"))
            yield from under(f"{place}.{each}", *matrices, linear("output.dense", width, width))
            yield from norm(f"{place}.{each}.output.LayerNorm", width)
        for ending in ("_query", *([""] if config.flag("use_qformer_text_input") else [])):
            yield from linear(f"{place}.intermediate{ending}.dense", width, d_ff)
            yield from linear(f"{place}.output{ending}.dense", d_ff, width)
            yield from norm(f"{place}.output{ending}.LayerNorm", width)

"""Models that see, by what tells them apart: a row a type; the tower before each is a row of ``vits`` or ``towers``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf import projectors
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families import seeing
from ....importers.hf.projectors import Projector, Sides
from ....importers.hf.vision_encoders import clip as towers
from ....importers.hf.vision_encoders import vit as vits
from ....layers.head import Head
from ....layers.linear import Linear
from ..vision_encoders import lfm3_vl as lfm_vl

_LEFT = f"""{OUTER} image_start_token_id image_end_token_id video_start_token_id video_end_token_id image_token_index
    video_token_index initializer_range hidden_size vocab_size merged_hidden_size visual_indicator_token_ids
    pad_token_id use_cache
"""


class Whole(NamedTuple):
    """What tells a model that sees from others.

    Attributes:
        tower: the type of its tower, if the file names none.
        text: that of its language model.
        projector: what stands between.
        layout: of its tensors; empty: that of its type.
        note: what no count has.
        ties: whether tables are tied: as text_part has it, if ``either`` config says so, ``unless`` both say no, or
            only if ``asked`` for in the outer one.
        own_head: the outer config says how large a head is that is not tied.
    """

    tower: str
    text: str
    projector: Projector
    layout: str = ""
    note: str = ""
    ties: str = ""
    own_head: bool = False


def whole(config: Config) -> Architecture:
    """Both parts of a type's row, and what stands between them."""
    row = WHOLES[config.model_type]
    language = seeing.text_config(config)
    _tie(config, row, language)
    text = text_part(config, row.text, language)
    text = _with_head(config, text) if row.own_head else text
    text = _unscaled(text) if config.model_type in UNSCALED else text
    part = _vision(config, row)
    stack = _tower(part)
    outputs = row.projector(Sides(config, part, stack.d_model, text.main.d_model))
    towers.checked(part)
    config.ignore(_LEFT)
    stack = replace(stack, outputs=(*stack.outputs, *outputs))
    notes = (row.note,) if row.note else ()
    layout = f"{row.layout or config.model_type}>{text.layout}"
    return replace(text, stacks=(*text.stacks, stack), layout=layout, notes=(*text.notes, *notes))


def fuyu(config: Config) -> Architecture:
    """Fuyu: patches become tokens by one matrix."""
    text = text_part(config, "persimmon", seeing.text_config(config))
    side, width = config.size("patch_size"), text.main.d_model
    patch = Linear(side * side * config.size("num_channels"), width)
    config.ignore(f"{OUTER} image_size initializer_range")
    stack = Stack("vision", width, tuple(projectors.named(patch=patch)), (), (), "tower")
    return replace(text, stacks=(*text.stacks, stack), layout=f"fuyu>{text.layout}")


def from_arguments(projector: Callable[[Config, int, int, int | None], list[Named]]) -> Projector:
    """A projector of ``seeing`` as one of both sides."""
    return lambda sides: projector(sides.whole, sides.width, sides.out, None)


def _tie(config: Config, row: Whole, language: dict[str, Any]) -> None:
    """Say of a whole whether its tables are tied, where its class and its file don't."""
    usual = row.ties == "unless"
    if row.ties in ("either", "unless") and language.get("tie_word_embeddings", usual) is True:
        config.override("tie_word_embeddings", True)
    elif row.ties == "asked" and "tie_word_embeddings" not in config.data:
        config.override("tie_word_embeddings", False)


UNSCALED = frozenset({"aya_vision", "cohere2_vision"})  # whose classes leave out the factor on the logits


def _unscaled(text: Architecture) -> Architecture:
    """The language model without a factor on its logits."""
    outputs = [
        Named(name, replace(part, input_scale=1.0) if isinstance(part, Head) else part)
        for name, part in text.main.outputs
    ]
    return replace(text, stacks=(replace(text.main, outputs=tuple(outputs)), *text.stacks[1:]))


def _with_head(config: Config, text: Architecture) -> Architecture:
    """The language model with a head of its own as large as the outer config says."""
    vocab, width = config.size("vocab_size"), config.size("hidden_size")
    outputs = tuple(
        Named(
            name, replace(layer, vocab=vocab, d_model=width) if isinstance(layer, Head) and not layer.share else layer
        )
        for name, layer in text.main.outputs
    )
    return replace(text, stacks=(replace(text.main, outputs=outputs), *text.stacks[1:]))


def _tower(part: Config) -> Stack:
    if part.model_type in OTHERS:
        return OTHERS[part.model_type](part)
    return towers.TOWERS[part.model_type].read(part) if part.model_type in towers.TOWERS else vits.read(part)


OTHERS = {"lfm3_vl_vision": lfm_vl.vision}


def _vision(config: Config, row: Whole) -> Config:
    """The tower's config, of the type that it names; of the usual one, if nothing is known of that."""
    data = given(config, "vision_config")
    kind = str(data.get("model_type"))
    known = kind in vits.VITS or kind in towers.TOWERS
    return config.nested("vision_config", data, kind if known else row.tower)


_ROWS = "the vector that ends each row of an image is stored, and not counted as a token"
_PAIRS = "a film's frames are merged in pairs; what is counted are images, each of which is its own pair"
_RESIZED = "transformers resizes the table of positions by a matrix product, which is not counted"
_COARSE = "an image goes the coarse way; the fine one, with four times as many tokens, is stored and not counted"
WHOLES: dict[str, Whole] = {
    "glm4v": Whole("glm4v_vision", "glm4v_text", projectors.glm, ties="either"),
    "glm46v": Whole("glm4v_vision", "glm4v_text", projectors.glm, "glm4v"),
    "glmga": Whole("glm4v_vision", "glm4v_text", projectors.glm, "glm4v"),
    "glm4v_moe": Whole("glm4v_moe_vision", "glm4v_moe_text", projectors.glm, "glm4v", ties="either"),
    "glm_ocr": Whole("glm_ocr_vision", "glm_ocr_text", projectors.glm_ocr, "glm4v", ties="either"),
    "ernie4_5_vl_moe": Whole("ernie4_5_vl_moe_vision", "ernie4_5_vl_moe_text", projectors.ernie, note=_PAIRS),
    "paddleocr_vl": Whole("paddleocr_vl_vision", "paddleocr_vl_text", projectors.merged_layers, ties="unless"),
    "video_llama_3": Whole("video_llama_3_vision", "qwen2", projectors.two_layers),
    "exaone4_5": Whole("exaone4_5_vision", "exaone4", projectors.nothing, "qwen2_vl"),
    "hyperclovax_vision_v2": Whole("qwen2_5_vl_vision", "hyperclovax", projectors.one_layer),
    "ovis2": Whole("ovis2_vision", "qwen2", projectors.visual_words, own_head=True),
    "step3p7": Whole("step3p5_vision", "step3p5", projectors.convolved, ties="asked"),
    "minimax_m3_vl": Whole("minimax_m3_vl_vision", "minimax_m3_vl_text", projectors.before_and_behind),
    "hunyuan_vl": Whole("hunyuan_vl_vision", "hunyuan_vl_text", projectors.hunyuan, note=_ROWS, ties="unless"),
    "hy_v4_vl": Whole("hy_v4_vl_vision", "hy_v4_vl_text", projectors.hy_v4, "hunyuan_vl", _ROWS),
    "cosmos3_edge": Whole("cosmos3_edge_vision", "cosmos3_edge_text", projectors.normed_layers),
    "cosmos3_omni": Whole("qwen3_vl_vision", "qwen3_vl_text", projectors.nothing, "qwen3_vl_visual"),
    "qwen4_exp": Whole("qwen4_exp_vision", "qwen4_exp_text", projectors.nothing, "qwen3_vl_visual"),
    "cohere_compass": Whole("cohere_compass_vision", "cohere_compass_text", projectors.nothing, "qwen3_vl_visual"),
    "qianfan_ocr": Whole("qianfan_ocr_vision", "qwen3", from_arguments(seeing.normed_merged)),
    "lighton_ocr": Whole("pixtral", "qwen3", from_arguments(seeing.merged_layers)),
    "aya_vision": Whole("siglip_vision_model", "cohere2", projectors.halved),
    "cohere2_vision": Whole("siglip_vision_model", "cohere2", projectors.halved, "clip"),
    "lfm3_vl": Whole("lfm3_vl_vision", "lfm3", projectors.normed_layers),
    "lfm2_vl": Whole("siglip2_vision_model", "lfm2", projectors.shuffled, note=_RESIZED),
    "deepseek_vl": Whole("siglip_vision_model", "llama", projectors.two_layers),
    "muse_glimmer": Whole("muse_glimmer_vision", "muse_glimmer_text", projectors.adapter, ties="asked"),
    "modernvbert": Whole("siglip_vision_model", "modernbert", projectors.reshuffled),
    "ultravbert": Whole("siglip_vision_model", "ultrabert", projectors.reshuffled),
    "granite_docling": Whole("granite_docling_vision", "granite_docling_text", projectors.docling, note=_COARSE),
}

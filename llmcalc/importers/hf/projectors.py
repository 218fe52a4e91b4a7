"""What leads from a vision transformer to a language model: norms, matrices, merged neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ...core.architecture import Named
from ...core.layer import Layer
from ...layers.embedding import Embedding
from ...layers.linear import Linear
from ...layers.mlp import Mlp
from ...layers.norm import Norm
from ...layers.patch import Patch
from .config import Config
from .rules import default_layernorm


class Sides(NamedTuple):
    """What a projector is made of.

    Attributes:
        whole: the config that has both parts.
        vision: that of the tower.
        width: of the tower.
        out: of the language model.
    """

    whole: Config
    vision: Config
    width: int
    out: int


Projector = Callable[[Sides], list[Named]]


def named(**layers: Layer) -> list[Named]:
    """Layers in their order, by their names."""
    return [Named(name, layer) for name, layer in layers.items()]


def layernorm(width: int, merge: int = 1, eps: float = 1e-5) -> Norm:
    """LayerNorm with a bias, on merged patches."""
    return Norm(width, "layernorm", bias=True, eps=eps, merge=merge)


def glm(sides: Sides) -> list[Named]:
    """GLM-4V: a convolution merges squares of patches; a gated layer behind a norm."""
    merged = sides.vision.size("spatial_merge_size") ** 2
    wide = sides.vision.size("out_hidden_size")
    return _gated_merger(sides, wide, sides.vision.size("intermediate_size"), merged)


def glm_ocr(sides: Sides) -> list[Named]:
    """GLM-OCR: that of GLM-4V, of a width that the tower's output and its channels give."""
    merged, wide = sides.vision.size("spatial_merge_size") ** 2, sides.vision.size("out_hidden_size")
    return _gated_merger(sides, wide, wide * sides.vision.size("in_channels"), merged)


def _gated_merger(sides: Sides, wide: int, d_ff: int, merged: int) -> list[Named]:
    act, side = sides.vision.activation(), sides.vision.size("spatial_merge_size")
    return named(
        downsample=Patch(sides.width, side, wide, merge=merged, stride=side),
        merger_in=Linear(wide, wide, bias=False, merge=merged),
        merger_norm=replace(layernorm(wide, merged), activation="gelu"),
        merger=Mlp(wide, d_ff, act, gated=True, merge=merged),
    )


def ernie(sides: Sides) -> list[Named]:
    """ERNIE 4.5 VL: squares of patches, then pairs of frames, each through two layers; an image is its own pair."""
    side, frames = sides.vision.size("spatial_merge_size"), sides.vision.size("temporal_merge_size")
    merged = side * side
    wide = sides.width * merged

    def half(name: str, width: int) -> list[Named]:
        layers = (Linear(width, wide, activation="gelu", merge=merged), Linear(wide, wide, merge=merged))
        norm = layernorm(wide, merged, sides.vision.number("rms_norm_eps") or 1e-6)
        return named(**{f"{name}_in": layers[0], f"{name}_out": layers[1], f"{name}_norm": norm})

    last = named(projector=Linear(wide, sides.out, merge=merged), projector_norm=Norm(sides.out, merge=merged))
    return [*half("spatial", wide), *half("temporal", wide * frames), *last]


def merged_layers(sides: Sides) -> list[Named]:
    """PaddleOCR-VL: a norm, then merged patches through two layers."""
    merged = sides.vision.size("spatial_merge_size") ** 2
    wide = sides.width * merged
    return named(
        projector_norm=default_layernorm(sides.width),
        projector_in=Linear(wide, wide, activation="gelu", merge=merged),
        projector_out=Linear(wide, sides.out, merge=merged),
    )


def normed_layers(sides: Sides) -> list[Named]:
    """Cosmos 3 Edge, LFM3-VL: a norm, then merged patches through two layers, of a width of its own."""
    merged, inner = sides.vision.size("spatial_merge_size") ** 2, sides.whole.size("projector_hidden_size")
    bias, act = sides.whole.flag("projector_bias", True), _activation(sides.whole)
    return named(
        projector_norm=layernorm(sides.width, eps=1e-6),
        projector_in=Linear(sides.width * merged, inner, bias, act, merge=merged),
        projector_out=Linear(inner, sides.out, bias, merge=merged),
    )


def _activation(config: Config) -> str:
    return config.activation("projector_hidden_act") if config.get("projector_hidden_act") else "gelu"


def shuffled(sides: Sides) -> list[Named]:
    """LFM2-VL: merged patches, maybe behind a norm, through two layers."""
    whole = sides.whole
    merged, inner = whole.size("downsample_factor") ** 2, whole.size("projector_hidden_size")
    wide, bias = sides.width * merged, whole.flag("projector_bias")
    norm = named(projector_norm=layernorm(wide, merged)) if whole.flag("projector_use_layernorm") else []
    first = Linear(wide, inner, bias, _activation(whole), merge=merged)
    return [*norm, *named(projector_in=first, projector_out=Linear(inner, sides.out, bias, merge=merged))]


def halved(sides: Sides) -> list[Named]:
    """Command A Vision, Aya Vision: merged patches through a matrix, of whose results one half gates the other."""
    whole = sides.whole
    merged = whole.size("downsample_factor") ** 2
    inner, wide = whole.size("alignment_intermediate_size", sides.out), sides.width * merged
    eps = whole.number("adapter_layer_norm_eps")
    whole.ignore("vision_feature_layer vision_feature_select_strategy")
    norm = named(projector_norm=layernorm(wide, merged, eps)) if eps is not None else []
    first = Linear(wide, inner, activation="silu", merge=merged)
    return [*norm, *named(projector_in=first, projector_out=Linear(inner // 2, sides.out, merge=merged))]


def adapter(sides: Sides) -> list[Named]:
    """Muse Glimmer: merged patches through two layers, and a matrix."""
    whole, merged = sides.whole, sides.vision.size("merge_size") ** 2
    inner, act = whole.size("projector_hidden_size"), _activation(whole)
    return named(
        projector_in=Linear(whole.size("out_hidden_size"), inner, bias=False, activation=act, merge=merged),
        projector_out=Linear(inner, inner, bias=False, activation=act, merge=merged),
        projector=Linear(inner, sides.out, bias=False, merge=merged),
    )


def reshuffled(sides: Sides) -> list[Named]:
    """ModernVBERT, UltraVBERT: merged patches through one matrix, and in the latter a norm."""
    merged = sides.whole.size("pixel_shuffle_factor") ** 2
    sides.whole.ignore("classifier_pooling classifier_dropout classifier_bias initializer_cutoff_factor")
    norm = named(connector_norm=Norm(sides.out, merge=merged)) if sides.whole.model_type == "ultravbert" else []
    return [*named(connector=Linear(sides.width * merged, sides.out, bias=False, merge=merged)), *norm]


def two_layers(sides: Sides) -> list[Named]:
    """VideoLLaMA 3, DeepSeek-VL: two layers on each patch."""
    return named(
        projector_in=Linear(sides.width, sides.out, activation="gelu"), projector_out=Linear(sides.out, sides.out)
    )


def one_layer(sides: Sides) -> list[Named]:
    """HyperCLOVA X: one matrix behind a tower that merges by itself."""
    merged = sides.vision.size("spatial_merge_size") ** 2
    return named(projector=Linear(sides.vision.size("out_hidden_size"), sides.out, merge=merged))


def nothing(sides: Sides) -> list[Named]:
    """A tower whose own last layer leads to the language model."""
    return []


def visual_words(sides: Sides) -> list[Named]:
    """Ovis 2: a distribution over visual words, which mixes the rows of a table; some words say where images end."""
    words, stride = sides.vision.size("vocab_size"), sides.vision.size("hidden_stride")
    merged = stride * stride
    seen = words - sides.vision.size("num_visual_indicator_tokens")
    return named(
        visual_head=Linear(sides.width * merged, seen, bias=False, merge=merged),
        visual_head_norm=layernorm(seen, merged),
        visual_table=Linear(words, sides.whole.size("hidden_size"), bias=False, merge=merged),
    )


def convolved(sides: Sides) -> list[Named]:
    """Step 3.7: two overlapping convolutions, each of which halves the grid; one matrix."""
    width, half = sides.width, 4
    kernel = 3
    bias = sides.whole.flag("projector_bias")
    return named(
        downsampler0=Patch(width, kernel, 2 * width, merge=half, stride=2),
        downsampler1=Patch(2 * width, kernel, 4 * width, merge=half * half, stride=2),
        projector=Linear(4 * width, sides.out, bias, merge=half * half),
    )


def before_and_behind(sides: Sides) -> list[Named]:
    """MiniMax M3: two layers on each patch, two on merged ones."""
    merged, inner = sides.vision.size("spatial_merge_size") ** 2, sides.whole.size("projector_hidden_size")
    return named(
        projector_in=Linear(sides.width, inner, activation="gelu"),
        projector_out=Linear(inner, sides.out),
        merger_in=Linear(sides.out * merged, inner, activation="gelu", merge=merged),
        merger_out=Linear(inner, sides.out, merge=merged),
    )


def hunyuan(sides: Sides) -> list[Named]:
    """HunyuanOCR: two convolutions and a matrix; learned vectors end each row of an image, and stand around it."""
    vision, width = sides.vision, sides.width
    side, text = vision.size("spatial_merge_size"), sides.out
    merged, eps = side * side, vision.number("rms_norm_eps") or 1e-5
    layers: dict[str, Layer] = {
        "merger_norm": Norm(width, eps=eps),
        "merger_conv": Patch(width, side, 2 * width, merge=merged, stride=side),
        "merger_out": Patch(2 * width, 1, 4 * width, merge=merged, stride=1),
        "merger": Linear(4 * width, text, merge=merged),
        "newline": _vector(4 * width),
        "begin": _vector(text),
        "end": _vector(text),
        "separator": _vector(text),
        "after_norm": Norm(text, eps=eps, merge=merged),
    }
    return named(**layers)


def hy_v4(sides: Sides) -> list[Named]:
    """Hunyuan 4 VL: two convolutions; a learned vector ends each row of an image."""
    vision, width = sides.vision, sides.width
    side, out = vision.size("spatial_merge_size"), vision.size("out_hidden_size")
    merged = side * side
    return named(
        merger_norm=Norm(width, eps=vision.number("rms_norm_eps") or 1e-5),
        merger_conv=Patch(width, side, merged * width, merge=merged, stride=side),
        merger_out=Patch(merged * width, 1, out, merge=merged, stride=1),
        newline=_vector(out),
    )


def docling(sides: Sides) -> list[Named]:
    """Granite Docling: merged patches through a matrix, and layers in between through two; a finer way beside."""
    vision, whole = sides.vision, sides.whole
    factor, out = vision.size("scale_factor"), vision.size("out_hidden_size")
    given = vision.get("deepstack_visual_indexes")
    taps = len(given if isinstance(given, list) else DOCLING_TAPS)
    found = named(connector_norm=layernorm(sides.width), **_way("coarse", sides.width, out, factor, taps, False))
    if vision.flag("use_fine_route", True):
        found += named(**_way("fine", sides.width, out, factor // 2, taps, True))
    merged = factor * factor
    found += named(
        mixing_norm=layernorm(out, merged),
        mixing=Linear(out, out, bias=False, merge=merged),
        mixed_norm=layernorm(out, merged),
    )
    whole.ignore("density_router_threshold density_router_loss_weight")
    inner = whole.optional_size("density_router_hidden_size")
    if inner:
        found += named(
            density=Linear(sides.width, 1),
            density_norm=layernorm(sides.width),
            density_in=Linear(sides.width, inner, activation="gelu", positions="one"),
            density_out=Linear(inner, 1, positions="one"),
        )
    return found


DOCLING_TAPS = [3, 7, 10]  # layers, if the config does not list them


def _way(name: str, width: int, out: int, factor: int, taps: int, unused: bool) -> dict[str, Layer]:
    merged = factor * factor
    layers: dict[str, Layer] = {name: Linear(width * merged, out, bias=False, merge=merged, unused=unused)}
    for number in range(taps):
        layers[f"{name}_norm{number}"] = replace(layernorm(width * merged, merged), unused=unused)
        first = Linear(width * merged, out, activation="gelu", merge=merged, unused=unused)
        layers[f"{name}_in{number}"] = first
        layers[f"{name}_out{number}"] = Linear(out, out, merge=merged, unused=unused)
    return layers


def _vector(width: int) -> Embedding:
    return Embedding(1, width, table="other", use="side_tokens")

"""Projectors: the layers between an encoder and a language model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ...core.architecture import Named, Stack
from ...layers import Embedding, Linear, Mlp, Norm, Patch
from .config import Config
from .vision_encoders.llama import merged_patches
from .vision_encoders.parts import CLASS_TOKEN, merger, named, two_linears


class Link(NamedTuple):
    """The models that a projector connects.

    Attributes:
        model: config of the whole model.
        encoder: config of the encoder.
        d_encoder: width of the encoder's output.
        d_model: width of the language model.
        prefix: number of learned tokens before the encoder's patches.
        notes: list of notes, to which a projector may append.
    """

    model: Config
    encoder: Config
    d_encoder: int
    d_model: int
    prefix: int | None
    notes: list[str]


# layers appended to the encoder's last stack, and separate stacks
Projector = Callable[[Link], Sequence[Named | Stack]]


def layernorm(width: int, merge: int = 1, eps: float = 1e-5) -> Norm:
    """Return a LayerNorm with a bias on merged patches."""
    return Norm(width, "layernorm", bias=True, eps=eps, merge=merge)


def vector(width: int) -> Embedding:
    """Return a learned vector among the projected tokens, such as the end of an image row."""
    return Embedding(1, width, table="other", use="side_tokens")


def activation(config: Config) -> str:
    """Return the projector's activation, by default GELU."""
    return config.activation("projector_hidden_act") if config.get("projector_hidden_act") else "gelu"


def n_features(config: Config) -> int:
    """Return the number of encoder layers whose outputs are concatenated."""
    value = config.get("vision_feature_layer")
    return len(value) if isinstance(value, list) else 1


def merged(config: Config, key: str = "spatial_merge_size") -> int:
    """Return the number of patches per token, given the side of the merged square."""
    return config.size(key) ** 2


def llava(link: Link) -> list[Named]:
    """Build the projector of LLaVA: two linear layers."""
    model = link.model
    full = model.one_of("vision_feature_select_strategy", "default", "full") == "full"
    act, bias = model.activation("projector_hidden_act"), model.flag("multimodal_projector_bias", True)
    wide, prefix = link.d_encoder * n_features(model), link.prefix if full else None
    return two_linears("projector", wide, link.d_model, link.d_model, activation=act, bias=bias, prefix=prefix)


def llava_next(link: Link) -> list[Named]:
    """Build the projector of LLaVA-NeXT: two linear layers, and a learned token at the end of each image row."""
    return [*llava(link), Named("newline", vector(link.d_model))]


def vipllava(link: Link) -> list[Named]:
    """Build ViP-LLaVA's projector: a norm on concatenated encoder layers, then two linear layers."""
    wide = link.d_encoder * n_features(link.model)
    norm = layernorm(wide, eps=link.model.number("projector_layernorm_eps") or 1e-5)
    act = link.model.activation("projector_hidden_act")
    return [Named("projector_norm", norm), *two_linears("projector", wide, link.d_model, link.d_model, activation=act)]


def paligemma(link: Link) -> list[Named]:
    """Build the projector of PaliGemma: one linear layer."""
    return named(projector=Linear(link.d_encoder, link.model.size("projection_dim")))


def gemma3(link: Link) -> list[Named]:
    """Build the projector of Gemma 3: pooled patches, RMSNorm, one linear layer."""
    side = link.encoder.size("image_size") // link.encoder.size("patch_size")
    kernel = max(1, side // int(link.model.size("mm_tokens_per_image") ** 0.5)) ** 2
    norm = replace(link.encoder.rmsnorm("layer_norm_eps", width=link.d_encoder, unit_offset=True), merge=kernel)
    return named(pooled_norm=norm, pooled=Linear(link.d_encoder, link.d_model, bias=False, merge=kernel))


def gemma4(link: Link) -> list[Named]:
    """Build the projector of Gemma 4: one linear layer on pooled patches."""
    pooled = merged(link.encoder, "pooling_kernel_size")
    return named(projector=Linear(link.d_encoder, link.d_model, bias=False, merge=pooled))


def gemma4_audio(link: Link) -> list[Named]:
    """Build the projector of Gemma 4: one linear layer on audio tokens."""
    return named(audio_projector=Linear(link.encoder.size("output_proj_dims"), link.d_model, bias=False))


def mistral3(link: Link) -> list[Named]:
    """Build the projector of Mistral 3: RMSNorm, a matrix that merges patches, two linear layers."""
    model, width, out = link.model, link.d_encoder, link.d_model
    merge, bias = merged(model), model.flag("multimodal_projector_bias")
    wide = width * n_features(model)
    return [
        Named("projector_norm", Norm(width, eps=1e-6)),
        Named("patch_merger", Linear(width * merge, width, bias=False, merge=merge, merge_by_channel=True)),
        *two_linears("projector", wide, out, out, activation=activation(model), bias=bias, merge=merge),
    ]


def idefics3(link: Link) -> list[Named]:
    """Build the projector of Idefics 3 and SmolVLM: one matrix on merged patches."""
    merge = merged(link.model, "scale_factor")
    return named(connector=Linear(link.d_encoder * merge, link.d_model, bias=False, merge=merge))


def internvl(link: Link) -> list[Named]:
    """Build the projector of InternVL: LayerNorm and two linear layers on merged patches."""
    merge = int(1 / link.model.positive_number("downsample_ratio")) ** 2
    wide, act = link.d_encoder * merge, link.model.activation("projector_hidden_act")
    layers = two_linears("merged", wide, link.d_model, link.d_model, activation=act, merge=merge)
    return [Named("merged_norm", layernorm(wide, merge)), *layers]


def llama4(link: Link) -> list[Named]:
    """Build the projector of Llama 4: one matrix after the encoder's adapter."""
    wide, merge = link.encoder.size("vision_output_dim"), merged_patches(link.encoder)
    return named(projector=Linear(wide, link.d_model, bias=False, merge=merge))


def mllama(link: Link) -> list[Named]:
    """Build Llama 3.2 Vision's projector: one linear layer on the concatenated outputs of encoder layers."""
    return named(projector=Linear(link.encoder.size("vision_output_dim"), link.d_model, prompt=CLASS_TOKEN))


def kimi_k25(link: Link) -> list[Named]:
    """Build the projector of Kimi K2.5: a norm and two linear layers on merged patches."""
    width = link.model.optional_size("projection_hidden_size")
    link.model.ignore("projection_layer_norm_eps")  # the encoder's head, which is not run
    normed = link.d_encoder if "vt_hidden_size" in link.encoder.data else width or link.d_encoder
    return [
        Named("projector_norm", Norm(normed, "layernorm", bias=True)),
        *merger("projector", link.d_encoder, _moonvit_merge(link.encoder), link.d_model),
    ]


def kimi_k3(link: Link) -> list[Named]:
    """Build the projector of Kimi K3: two linear layers on merged patches, then RMSNorm."""
    merge = _moonvit_merge(link.encoder)
    wide = merge * link.d_encoder
    return named(
        projector_in=Linear(wide, wide, bias=False, activation="gelu", merge=merge),
        projector_out=Linear(wide, link.d_model, bias=False, merge=merge),
        projector_norm=Norm(link.d_model, merge=merge),
    )


def _moonvit_merge(config: Config) -> int:
    """Return the number of patches merged into one token."""
    return math.prod(config.layer_indices("merge_kernel_size") or [2, 2])


def glm4v(link: Link) -> list[Named]:
    """Build the projector of GLM-4V: a convolution that merges patches, then a norm and a gated feed-forward layer."""
    return gated_merger(link, link.encoder.size("intermediate_size"))


def gated_merger(link: Link, d_ff: int) -> list[Named]:
    """Return GLM-4V's projector with a feed-forward layer of width ``d_ff``."""
    encoder, act = link.encoder, link.encoder.activation()
    side, out = encoder.size("spatial_merge_size"), encoder.size("out_hidden_size")
    merge = side * side
    return named(
        downsample=Patch(link.d_encoder, side, out, merge=merge, stride=side),
        merger_in=Linear(out, out, bias=False, merge=merge),
        merger_norm=replace(layernorm(out, merge), activation="gelu"),
        merger=Mlp(out, d_ff, act, gated=True, merge=merge),
    )


def lfm2_vl(link: Link) -> list[Named]:
    """Build the projector of LFM2-VL: an optional LayerNorm and two linear layers on merged patches."""
    model, merge = link.model, merged(link.model, "downsample_factor")
    inner, bias, wide = model.size("projector_hidden_size"), model.flag("projector_bias"), link.d_encoder * merge
    norm = named(projector_norm=layernorm(wide, merge)) if model.flag("projector_use_layernorm") else []
    act = activation(model)
    return [*norm, *two_linears("projector", wide, inner, link.d_model, activation=act, bias=bias, merge=merge)]


def cohere(link: Link) -> list[Named]:
    """Build the projector of Command A Vision or Aya Vision: a gated layer on merged patches, then a linear layer."""
    model, merge = link.model, merged(link.model, "downsample_factor")
    inner, wide = model.size("alignment_intermediate_size", link.d_model), link.d_encoder * merge
    eps = model.number("adapter_layer_norm_eps")
    model.ignore("vision_feature_layer vision_feature_select_strategy")
    norm = named(projector_norm=layernorm(wide, merge, eps)) if eps is not None else []
    first = Linear(wide, inner, activation="silu", merge=merge)
    return [*norm, *named(projector_in=first, projector_out=Linear(inner // 2, link.d_model, merge=merge))]


def two_layers(link: Link) -> list[Named]:
    """Build the projector of VideoLLaMA 3 and DeepSeek-VL: two linear layers on each patch."""
    return two_linears("projector", link.d_encoder, link.d_model, link.d_model)


def one_layer(link: Link) -> list[Named]:
    """Build the projector of HyperCLOVA X: one linear layer after an encoder that merges patches."""
    return named(projector=Linear(link.encoder.size("out_hidden_size"), link.d_model, merge=merged(link.encoder)))

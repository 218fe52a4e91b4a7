"""Projectors between encoders and language models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...core.architecture import Named, Stack
from ...core.record import NamedTuple
from ...layers import Embedding, InputRows, Linear, Mlp, Norm, Patch
from .config import Config
from .vision_encoders.llama import merged_patches
from .vision_encoders.parts import CLASS_TOKEN, merger, named, two_linears


class Link(NamedTuple):
    """Encoder and language model connected by a projector.

    Attributes:
        model: config of the full model.
        encoder: config of the encoder.
        d_encoder: encoder output width.
        d_model: language model width.
        prefix: number of learned tokens before the encoder's patches.
        notes: list of notes that a projector may extend.
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
    """Return a LayerNorm (with a bias) for merged patches."""
    return Norm(width, "layernorm", bias=True, eps=eps, merge=merge)


def vector(width: int) -> Embedding:
    """Return a learned vector that is inserted among the projected tokens, for example after each image row."""
    return Embedding(1, width, table="other", use="side_tokens")


def activation(config: Config) -> str:
    """Return the projector activation (default: GELU)."""
    return config.activation("projector_hidden_act") if config.get("projector_hidden_act") else "gelu"


def n_features(config: Config) -> int:
    """Return the number of encoder layers whose outputs are concatenated."""
    value = config.get("vision_feature_layer")
    return len(value) if isinstance(value, list) else 1


def merged(config: Config, key: str = "spatial_merge_size") -> int:
    """Return the number of patches per token, which is the square of the merge size."""
    return config.size(key) ** 2


def llava(link: Link) -> list[Named]:
    """Build the LLaVA projector with two linear layers."""
    model = link.model
    full = model.one_of("vision_feature_select_strategy", "default", "full") == "full"
    act, bias = model.activation("projector_hidden_act"), model.flag("multimodal_projector_bias", True)
    wide, prefix = link.d_encoder * n_features(model), link.prefix if full else None
    return two_linears("projector", wide, link.d_model, link.d_model, activation=act, bias=bias, prefix=prefix)


def llava_next(link: Link) -> list[Named]:
    """Build the LLaVA-NeXT projector with two linear layers and a learned token at the end of each image row."""
    return [*llava(link), Named("newline", vector(link.d_model))]


def vipllava(link: Link) -> list[Named]:
    """Build the ViP-LLaVA projector with two linear layers after a norm on concatenated encoder features."""
    wide = link.d_encoder * n_features(link.model)
    norm = layernorm(wide, eps=link.model.number("projector_layernorm_eps") or 1e-5)
    act = link.model.activation("projector_hidden_act")
    return [Named("projector_norm", norm), *two_linears("projector", wide, link.d_model, link.d_model, activation=act)]


def paligemma(link: Link) -> list[Named]:
    """Build the PaliGemma projector with one linear layer."""
    return named(projector=Linear(link.d_encoder, link.model.size("projection_dim")))


def gemma3(link: Link) -> list[Named]:
    """Build the Gemma 3 projector with patch pooling, an RMSNorm and one linear layer."""
    side = link.encoder.size("image_size") // link.encoder.size("patch_size")
    kernel = max(1, side // int(link.model.size("mm_tokens_per_image") ** 0.5)) ** 2
    norm = replace(link.encoder.rmsnorm("layer_norm_eps", width=link.d_encoder, unit_offset=True), merge=kernel)
    return named(pooled_norm=norm, pooled=Linear(link.d_encoder, link.d_model, bias=False, merge=kernel))


def gemma4(link: Link) -> list[Named]:
    """Build the Gemma 4 vision projector with one linear layer on pooled patches."""
    pooled = merged(link.encoder, "pooling_kernel_size")
    return named(projector=Linear(link.d_encoder, link.d_model, bias=False, merge=pooled))


def gemma4_unified(link: Link) -> list[Named]:
    """Build the Gemma 4 Unified vision projector with a norm without weights and one linear layer."""
    norm = Norm(link.d_encoder, eps=link.encoder.number("rms_norm_eps") or 1e-6, scale=False)
    return named(projector_norm=norm, projector=Linear(link.d_encoder, link.d_model, bias=False))


def gemma4_audio(link: Link) -> list[Named]:
    """Build the Gemma 4 audio projector with one linear layer."""
    wide = link.encoder.size("output_proj_dims", link.d_encoder)
    return named(audio_projector=Linear(wide, link.d_model, bias=False))


def mistral3(link: Link) -> list[Named]:
    """Build the Mistral 3 projector with an RMSNorm, a patch merger and two linear layers."""
    model, width, out = link.model, link.d_encoder, link.d_model
    merge, bias = merged(model), model.flag("multimodal_projector_bias")
    wide, by_channel = width * n_features(model), InputRows(merge_by_channel=True)
    return [
        Named("projector_norm", Norm(width, eps=1e-6)),
        Named("patch_merger", Linear(width * merge, width, bias=False, merge=merge, sequence=by_channel)),
        *two_linears("projector", wide, out, out, activation=activation(model), bias=bias, merge=merge),
    ]


def idefics3(link: Link) -> list[Named]:
    """Build the Idefics 3 or SmolVLM projector with one linear layer on merged patches."""
    merge = merged(link.model, "scale_factor")
    return named(connector=Linear(link.d_encoder * merge, link.d_model, bias=False, merge=merge))


def internvl(link: Link) -> list[Named]:
    """Build the InternVL projector with a LayerNorm and two linear layers on merged patches."""
    merge = int(1 / link.model.positive_number("downsample_ratio")) ** 2
    wide, act = link.d_encoder * merge, link.model.activation("projector_hidden_act")
    layers = two_linears("merged", wide, link.d_model, link.d_model, activation=act, merge=merge)
    return [Named("merged_norm", layernorm(wide, merge)), *layers]


def llama4(link: Link) -> list[Named]:
    """Build the Llama 4 projector with one linear layer after the encoder's adapter."""
    wide, merge = link.encoder.size("vision_output_dim"), merged_patches(link.encoder)
    return named(projector=Linear(wide, link.d_model, bias=False, merge=merge))


def mllama(link: Link) -> list[Named]:
    """Build the Llama 3.2 Vision projector with one linear layer on concatenated encoder features."""
    wide, rows = link.encoder.size("vision_output_dim"), InputRows(prompt=CLASS_TOKEN)
    return named(projector=Linear(wide, link.d_model, sequence=rows))


def kimi_k25(link: Link) -> list[Named]:
    """Build the Kimi K2.5 projector with a LayerNorm and two linear layers on merged patches."""
    width = link.model.optional_size("projection_hidden_size")
    link.model.ignore("projection_layer_norm_eps")  # the encoder's head, which is not run
    normed = link.d_encoder if "vt_hidden_size" in link.encoder.data else width or link.d_encoder
    return [
        Named("projector_norm", Norm(normed, "layernorm", bias=True)),
        *merger("projector", link.d_encoder, _moonvit_merge(link.encoder), link.d_model),
    ]


def kimi_k3(link: Link) -> list[Named]:
    """Build the Kimi K3 projector with two linear layers on merged patches and a final RMSNorm."""
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
    """Build the GLM-4V projector with a patch-merging convolution, a linear layer, a norm and a gated MLP."""
    return gated_merger(link, link.encoder.size("intermediate_size"))


def gated_merger(link: Link, d_ff: int) -> list[Named]:
    """Return the GLM-4V projector with an MLP of hidden width ``d_ff``."""
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
    """Build the LFM2-VL projector with an optional LayerNorm and two linear layers on merged patches."""
    model, merge = link.model, merged(link.model, "downsample_factor")
    inner, bias, wide = model.size("projector_hidden_size"), model.flag("projector_bias"), link.d_encoder * merge
    norm = named(projector_norm=layernorm(wide, merge)) if model.flag("projector_use_layernorm") else []
    act = activation(model)
    return [*norm, *two_linears("projector", wide, inner, link.d_model, activation=act, bias=bias, merge=merge)]


def cohere(link: Link) -> list[Named]:
    """Build the Command A Vision or Aya Vision projector with a gated layer and a linear layer on merged patches."""
    model, merge = link.model, merged(link.model, "downsample_factor")
    inner, wide = model.size("alignment_intermediate_size", link.d_model), link.d_encoder * merge
    eps = model.number("adapter_layer_norm_eps")
    model.ignore("vision_feature_layer vision_feature_select_strategy")
    norm = named(projector_norm=layernorm(wide, merge, eps)) if eps is not None else []
    first = Linear(wide, inner, activation="silu", merge=merge)
    return [*norm, *named(projector_in=first, projector_out=Linear(inner // 2, link.d_model, merge=merge))]


def two_layers(link: Link) -> list[Named]:
    """Build the VideoLLaMA 3 or DeepSeek-VL projector with two linear layers applied to each patch."""
    return two_linears("projector", link.d_encoder, link.d_model, link.d_model)


def one_layer(link: Link) -> list[Named]:
    """Build the HyperCLOVA X projector with one linear layer after a patch-merging encoder."""
    return named(projector=Linear(link.encoder.size("out_hidden_size"), link.d_model, merge=merged(link.encoder)))

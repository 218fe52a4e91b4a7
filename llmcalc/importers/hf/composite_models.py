"""Models that see: a language model of its own family, and a tower whose output stands among its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ...core.architecture import Architecture, Block, Named, Stack
from ...core.errors import DescriptionError, SizeError, UnknownNameError, shown
from ...layers.attention import Attention
from ...layers.embedding import Embedding
from ...layers.features import Features
from ...layers.linear import Linear
from ...layers.mlp import Mlp
from ...layers.norm import Norm
from ...layers.patch import Patch
from ...zoo.audio.audio_encoders import conformers
from .config import Config
from .rules import repeat_block, sublayer

OUTER = (
    "tie_word_embeddings text_config vision_config audio_config image_token_id video_token_id vision_start_token_id "
    "vision_end_token_id use_unified_vision_chunk video_placeholder media_placeholder_token_id ignore_index "
    "audio_token_id boa_token_id boi_token_id eoa_token_id eoa_token_index eoi_token_id vision_soft_tokens_per_image "
    "image_seq_length video_seq_length"
)
LAYERNORM_EPS = 1e-6
MOONVIT_EPS = 2.0**-7  # the least step of a bfloat16, as torch takes it where none is given
CHANNELS = 3  # red, green, blue


def qwen3_vl(config: Config) -> Architecture:
    """Qwen3-VL, Qwen3.5 and their mixtures of experts: a tower that merges patches by fours."""
    return _seeing(config, qwen_tower, f"{config.model_type}_text")


def kimi_k25(config: Config) -> Architecture:
    """Kimi K2.5: Kimi K2 behind a MoonViT tower."""
    merger = config.optional_size("projection_hidden_size")
    config.ignore("projection_layer_norm_eps")  # of the tower, which is not run
    return _seeing(config, partial(kimi_tower, merger=merger), "deepseek_v3")


def kimi_k3(config: Config) -> Architecture:
    """Kimi K3 [moonshot2026k3] behind MoonViT-V2."""
    return _seeing(config, kimi_k3_tower, "kimi_linear")


def gemma4(config: Config) -> Architecture:
    """Gemma 4 behind its towers."""
    found = _seeing(config, gemma_tower, "gemma4_text", optional=True)
    if config.get("audio_config") is None:
        return found
    audio = config.nested("audio_config", plain(config, "audio_config"), "gemma4_audio")
    stack = conformers.gemma4(audio, found.main.d_model)
    conformers.checked(audio)
    return replace(found, stacks=(*found.stacks, stack))


def _seeing(
    config: Config, tower: Callable[[Config, int], Stack], text_type: str, optional: bool = False
) -> Architecture:
    """Both parts; ``optional``: without a ``vision_config`` there is no tower, not the usual one."""
    language = text_part(config, text_type)
    config.ignore(OUTER)
    if config.get("audio_config") and config.model_type != "gemma4":
        raise DescriptionError("an audio tower is not modelled", where=config.where)
    if optional and config.get("vision_config") is None:
        return language
    vision = config.nested("vision_config", plain(config, "vision_config"), f"{config.model_type}_vision")
    stack = tower(vision, language.main.d_model)
    vision.ignore(f"{OUTER} is_encoder_decoder")
    vision.check_all_read()
    return replace(language, stacks=(*language.stacks, stack))


# whose tables are tied if either config says so: the first files say it in that of the language model
TIED_BY_EITHER = (
    "llava",
    "llava_next_video",
    "llava_onevision",
    "minimax_m3_vl",
    "qwen2_vl",
    "qwen2_5_vl",
    "shieldgemma2",
    "video_llama_3",
)


def text_part(config: Config, usual: str, part: dict[str, Any] | None = None, own_tie: bool = False) -> Architecture:
    """The language model of ``text_config``, tied as the outer config says; ``usual``: its type if it names none.

    ``part``: that config, where it was found elsewhere. Where a class ties by default and a file says nothing, the
    language model's own config decides, as it does for published checkpoints, which store both tables; with
    ``own_tie`` it always does.
    """
    from .families import find, names

    data = dict(plain(config, "text_config") if part is None else part)
    model_type = data.get("model_type", usual)
    entry = find(model_type) if isinstance(model_type, str) else None
    if entry is None:
        raise UnknownNameError("model_type of text_config", str(model_type), names(), where=config.where)
    usual_tie = bool(config.defaults.get("tie_word_embeddings", False))
    own_tie |= usual_tie and "tie_word_embeddings" not in config.data and bool(config.data.get("text_config"))
    if config.model_type in TIED_BY_EITHER and not config.flag("tie_word_embeddings", False):
        own_tie = True
        if entry.model_type in ("qwen2_vl_text", "qwen2_5_vl_text"):  # whose classes tie nothing unless asked
            data.setdefault("tie_word_embeddings", False)
    if not (part and own_tie):
        data["tie_word_embeddings"] = config.flag("tie_word_embeddings", bool(data.get("tie_word_embeddings", False)))
    data["architectures"] = ["Model"] if config.head_kind() == "none" else None
    inner = config.nested("text_config", data, entry.model_type)
    language = entry.read(inner)
    inner.check_all_read()
    config.unmodelled += inner.unmodelled
    return replace(language, layout=language.layout or entry.layout) if part is not None else language


def given(config: Config, key: str) -> dict[str, Any]:
    """The config at a key, or that of a class whose file leaves it out."""
    usual = config.defaults.get(key) or {}
    found = plain(config, key) or usual
    kind = found.get("model_type", usual.get("model_type"))
    return {**found, "model_type": kind} if kind else found


def plain(config: Config, key: str) -> dict[str, Any]:
    """The object at a key; left out, the part is as its class says."""
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DescriptionError(f"{key} is {shown(value)}; it is an object", where=config.where)
    return value


def qwen_tower(config: Config, d_text: int) -> Stack:
    """LayerNorm blocks with biases, a learned table of positions; merged fours go to the language model."""
    width, merged = config.size("hidden_size"), config.size("spatial_merge_size") ** 2
    out = config.size("out_hidden_size", d_text)
    patch = Patch(
        config.size("in_channels", CHANNELS), config.size("patch_size"), width, config.size("temporal_patch_size")
    )
    norm = Norm(width, "layernorm", bias=True, eps=LAYERNORM_EPS)
    block = _vision_block(config, norm, config.size("num_heads"), config.size("intermediate_size"), grid="halves")
    inputs = (
        Named("patch", patch),
        Named("position", Embedding(config.size("num_position_embeddings"), width, table="position")),
    )
    outputs = [Named("merger_norm", norm), *_merger("merger", width, merged, out)]
    for number, block_number in enumerate(config.layer_indices("deepstack_visual_indexes")):
        deeper = Features(width, str(block_number + 1), apart=True)
        outputs.append(Named(f"deepstack{number}_features", deeper))
        outputs.append(Named(f"deepstack{number}_norm", replace(norm, d_model=merged * width, merge=merged)))
        outputs += _merger(f"deepstack{number}", width, merged, out)
    return Stack("vision", width, inputs, repeat_block(block, config.size("depth")), tuple(outputs), "tower")


def kimi_tower(config: Config, d_text: int, merger: int | None = None) -> Stack:
    """MoonViT [moonshot2025]: LayerNorm blocks with biases; merged patches go through a projector of two layers."""
    old = "vt_hidden_size" in config.data  # as published; the class has shorter names
    prefix, initial = ("vt_", "init_") if old else ("", "")
    width, merged = config.size(f"{prefix}hidden_size"), _merged(config)
    config.ignore(
        "init_pos_emb_time pos_emb_time pos_emb_type video_attn_type merge_type mm_projector_type projector_hidden_act"
    )
    config.ignore("projector_ln_eps projection_layer_norm_eps mm_hidden_size text_hidden_size _attn_implementation")
    norm = Norm(width, "layernorm", bias=True)
    block = _vision_block(
        config, norm, config.size(f"{prefix}num_attention_heads"), config.size(f"{prefix}intermediate_size")
    )
    rows, columns = config.size(f"{initial}pos_emb_height"), config.size(f"{initial}pos_emb_width")
    inputs = (
        Named("patch", Patch(CHANNELS, config.size("patch_size"), width)),
        Named("position", Embedding(rows * columns, width, table="position", columns=columns)),
    )
    merging = Norm(width if old else merger or width, "layernorm", bias=True)
    outputs = (Named("norm", norm), Named("projector_norm", merging), *_merger("projector", width, merged, d_text))
    return Stack(
        "vision", width, inputs, repeat_block(block, config.size(f"{prefix}num_hidden_layers")), outputs, "tower"
    )


# what a MoonViT-V2 has in the published config; its positions in time are computed, and its patches pooled over time
_MOONVIT_V2 = {
    "norm_type": "rmsnorm", "mlp_type": "mlp2", "merge_type": "sd2_tpool", "mm_projector_type": "patchmergerv2",
    "pos_emb_type": "divided_fixed", "video_attn_type": "spatial_temporal", "activation_func": "gelu_pytorch_tanh",
    "projector_hidden_act": "gelu", "pos_emb_interpolation_mode": "bilinear",
}  # fmt: skip


def kimi_k3_tower(config: Config, d_text: int) -> Stack:
    """MoonViT-V2 [moonshot2026k3]: RMSNorms, heads wider together than the stream, no biases, one norm at the end."""
    for key, usual in _MOONVIT_V2.items():
        config.one_of(key, usual)
    if config.flag("attn_bias") or config.flag("linear_bias") or config.flag("patch_embed_proj_bias"):
        raise DescriptionError("biases of the tower are not described", where=config.where)
    config.ignore("init_pos_emb_time projector_ln_eps text_hidden_size _attn_implementation")
    width, heads = config.size("vt_hidden_size"), config.size("vt_num_attention_heads")
    if config.size("mm_hidden_size", width) != width:
        raise SizeError(f"mm_hidden_size is not vt_hidden_size ({width})", where=config.where)
    merged, norm = _merged(config), Norm(width, eps=MOONVIT_EPS)
    projected = config.size("qkv_hidden_size")
    if projected % heads:
        text = f"qkv_hidden_size ({projected}) is no multiple of vt_num_attention_heads ({heads})"
        raise SizeError(text, where=config.where)
    attention = Attention(width, heads, d_head=projected // heads, causal=False, positions="rope")
    mlp = Mlp(width, config.size("vt_intermediate_size"), "gelu_tanh")
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))
    rows, columns = config.size("init_pos_emb_height"), config.size("init_pos_emb_width")
    inputs = (
        Named("patch", Patch(CHANNELS, config.size("patch_size"), width, bias=False)),
        Named("position", Embedding(rows * columns, width, table="position", columns=columns)),
    )
    wide = merged * width
    outputs = (
        Named("norm", norm),
        Named("projector_in", Linear(wide, wide, bias=False, activation="gelu", merge=merged)),
        Named("projector_out", Linear(wide, d_text, bias=False, merge=merged)),
        Named("projector_norm", Norm(d_text, merge=merged)),
    )
    return Stack("vision", width, inputs, repeat_block(block, config.size("vt_num_hidden_layers")), outputs, "tower")


def _merged(config: Config) -> int:
    """Patches that become one token."""
    return math.prod(config.layer_indices("merge_kernel_size") or [2, 2])


def _merger(name: str, width: int, merged: int, out: int) -> list[Named]:
    wide = merged * width
    first = Named(f"{name}_in", Linear(wide, wide, activation="gelu", merge=merged))
    return [first, Named(f"{name}_out", Linear(wide, out, merge=merged))]


def _vision_block(config: Config, norm: Norm, heads: int, d_ff: int, grid: str = "other") -> Block:
    biases: dict[str, Any] = {"q_bias": True, "k_bias": True, "v_bias": True, "o_bias": True}
    attention = Attention(norm.d_model, heads, causal=False, positions="rope", rope_grid=grid, **biases)
    act = config.activation() if config.get("hidden_act") else "gelu_tanh"
    mlp = Mlp(norm.d_model, d_ff, act, bias=True)
    return Block("block", (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))


AXES_OF_AN_IMAGE = 2  # tables of positions: rows and columns


def gemma_tower(config: Config, d_text: int) -> Stack:
    """Gemma 4's tower: sandwich norms, gated layers, norms on heads, pooled patches projected to the language model."""
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    config.ignore("default_output_length standardize use_clipped_linears global_head_dim max_position_embeddings")
    config.ignore("pooling_kernel_size")
    norm = Norm(width, eps=config.number("rms_norm_eps") or LAYERNORM_EPS)
    bias = config.flag("attention_bias")
    attention = Attention(
        width,
        heads,
        config.optional_size("num_key_value_heads") or heads,
        config.optional_size("head_dim") or width // heads,
        causal=False,
        positions="rope",
        rope_grid="other",
        qk_norm="head",
        q_bias=bias,
        k_bias=bias,
        v_bias=bias,
        o_bias=bias,
    )
    mlp = Mlp(width, config.size("intermediate_size"), config.activation("hidden_activation"), gated=True)
    parts = (sublayer("attention", attention, pre=norm, post=norm), sublayer("mlp", mlp, pre=norm, post=norm))
    rows = AXES_OF_AN_IMAGE * config.size("position_embedding_size")
    inputs = (
        Named("patch", Linear(CHANNELS * config.size("patch_size") ** 2, width, bias=False)),
        Named("position", Embedding(rows, width, table="position")),
    )
    pooled = config.size("pooling_kernel_size") ** 2
    outputs = (Named("projector", Linear(width, d_text, bias=False, merge=pooled)),)
    runs = repeat_block(Block("block", parts), config.size("num_hidden_layers"))
    return Stack("vision", width, inputs, runs, outputs, "tower")

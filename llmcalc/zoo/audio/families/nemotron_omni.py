"""Nemotron 3 Nano Omni: Nemotron-H behind RADIO's vision transformer and, in some files, a FastConformer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named, Stack
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.gpt import BIASED
from ....importers.hf.projectors import named
from ....importers.hf.rules import repeat_block, sublayer
from ....importers.hf.vision_encoders import clip as towers
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.scale import Scale
from ..audio_encoders import fast_conformer as parakeet

SOUND = {"attention_bias": False, "scale_input": False}  # of a FastConformer whose file does not say it
OLDER = {
    "img_context_token_id": "image_token_id",
    "video_context_token_id": "video_token_id",
    "sound_context_token_id": "audio_token_id",
    "llm_config": "text_config",
    "sound_config": "audio_config",
    "vit_hidden_size": "vision_hidden_size",
}
_LEFT = f"{OUTER} force_image_size video_pruning_rate video_temporal_patch_size"
EPS = 1e-5
SWIGLU, STEP = (2, 3), 8  # share of the hidden layer that a gated one keeps, in steps


def nemotron_h_omni(config: Config) -> Architecture:
    """The language model, the tower, and what hears, each with two layers between."""
    for old, new in OLDER.items():
        if config.get(old) is not None and config.get(new) == config.defaults.get(new):
            config.override(new, config.get(old))
    config.override("architectures", None)
    text = text_part(config, "nemotron_h", given(config, "text_config"), own_tie=True)
    out, wide = text.main.d_model, config.size("vision_hidden_size")
    part = config.nested("vision_config", given(config, "vision_config"), "radio")
    seen = radio(part)
    towers.checked(part)
    predicting = given(config, "text_config").get("num_nextn_predict_layers", 0)
    eps = part.number("layer_norm_eps") or EPS
    norm = named(vision_norm=Norm(wide, "layernorm", bias=True, eps=eps)) if predicting else []
    merged = int(1 / config.positive_number("downsample_ratio")) ** 2
    seen = replace(
        seen, outputs=(*norm, *_projector("vision", wide * merged, config.size("projector_hidden_size"), out, merged))
    )
    stacks = [*text.stacks, seen]
    if config.get("audio_config") is not None:
        stacks.append(_heard(config, out))
    config.ignore(_LEFT)
    return replace(text, stacks=tuple(stacks), layout=f"nemotron_h_omni>{text.layout}")


def radio(config: Config) -> Stack:
    """RADIO's [ranzinger2023]: class tokens and registers before the patches, positions of a large image."""
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    prompt = config.size("num_cls_tokens") + config.size("num_registers")
    side = config.size("max_img_size") // config.size("patch_size")
    pixels = config.size("num_channels") * config.size("patch_size") ** 2
    config.ignore(
        "image_size patch_dim video_patch_dim summary_idxs norm_mean norm_std layerscale_value drop_path_rate"
    )
    config.ignore("hidden_dropout_prob attention_probs_dropout_prob initializer_range")
    norm = replace(towers.layernorm(config), prompt=prompt)
    bias = config.flag("qkv_bias", True)
    fields: dict[str, Any] = {**BIASED, "q_bias": bias, "k_bias": bias, "v_bias": bias}
    attention = Attention(width, heads, causal=False, prompt=prompt, **fields)
    d_ff, gated, act = (
        int(width * config.positive_number("mlp_ratio")),
        config.flag("use_swiglu_ffn"),
        config.activation(),
    )
    if gated:
        d_ff, act = -(-(d_ff * SWIGLU[0] // SWIGLU[1]) // STEP) * STEP, "silu"
    mlp = Mlp(width, d_ff, act, gated, bias=True, prompt=prompt)
    scale = Scale(width, prompt=prompt)
    block = Block("block", (sublayer("attention", attention, pre=norm, post=scale),
                            sublayer("mlp", mlp, pre=norm, post=scale)))  # fmt: skip
    inputs = [Named("patch", Linear(pixels, width, bias=False))]
    frames = config.optional_size("video_temporal_patch_size")
    inputs += named(film=Linear(frames * pixels, width, bias=False, unused=True)) if frames else []
    inputs += named(
        position=Embedding(side * side, width, table="position"),
        prefix=Embedding(prompt, width, table="other", use="prefix"),
    )
    return Stack("vision", width, tuple(inputs), repeat_block(block, config.size("num_hidden_layers")), (), "tower")


def _heard(config: Config, out: int) -> Stack:
    data = {**SOUND, **given(config, "audio_config")}
    data.pop("model_type", None)
    part = config.nested("audio_config", data, "parakeet_encoder")
    inputs, runs, width = parakeet.front(part, tower=True), parakeet.blocks(part), part.size("hidden_size")
    tokens = parakeet.tokens(part)
    hidden, bias = part.size("projection_hidden_size"), part.flag("projection_bias")
    part.ignore("is_encoder_decoder tie_word_embeddings sampling_rate")
    part.check_all_read()
    config.unmodelled += part.unmodelled
    return Stack("audio", width, inputs, runs, tuple(_projector("audio", width, hidden, out, 1, bias)), "tower", tokens)


def _projector(name: str, wide: int, hidden: int, out: int, merged: int, bias: bool = False) -> list[Named]:
    """RMSNorm and two layers around a squared relu."""
    layers = {
        "projector_norm": Norm(wide, eps=EPS, merge=merged),
        "projector_in": Linear(wide, hidden, bias, "relu2", merge=merged),
        "projector_out": Linear(hidden, out, bias, merge=merged),
    }
    return [Named(f"{name}_{place}", layer) for place, layer in layers.items()]

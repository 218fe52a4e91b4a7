"""Nemotron 3 Nano Omni, which combines Nemotron-H with RADIO and optionally a FastConformer."""

from __future__ import annotations

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf.composite_models import config_at, read_composite
from ....importers.hf.config import BIASED, Config, Fields
from ....importers.hf.projectors import Link
from ....importers.hf.rules import repeat_block
from ....importers.hf.vision_encoders.parts import attention_mlp, layernorm, named, two_linears, with_prefix
from ....layers import Attention, Embedding, Linear, Mlp, Norm, Scale

AUDIO_DEFAULTS = {"attention_bias": False, "scale_input": False}  # kernel size of the FastConformer
OLDER = {
    "img_context_token_id": "image_token_id",
    "video_context_token_id": "video_token_id",
    "sound_context_token_id": "audio_token_id",
    "llm_config": "text_config",
    "sound_config": "audio_config",
    "vit_hidden_size": "vision_hidden_size",
}
EPS = 1e-5
SWIGLU, STEP = (2, 3), 8  # a gated layer has 2/3 of the hidden width, rounded up to a multiple of 8


def nemotron_h_omni(config: Config) -> Architecture:
    """Build Nemotron 3 Nano Omni from a language model and encoders with two-layer projectors."""
    for old, new in OLDER.items():
        if config.get(old) is not None and config.get(new) == config.defaults.get(new):
            config.override(new, config.get(old))
    config.override("architectures", None)
    audio = config.get("audio_config")
    if isinstance(audio, dict):
        config.override("audio_config", {**AUDIO_DEFAULTS, **audio, "model_type": "parakeet_encoder"})
    return read_composite(config)


def project_vision(link: Link) -> list[Named]:
    """Build the vision projector of Nemotron 3 Nano Omni with two linear layers on merged patches."""
    model, wide = link.model, link.model.size("vision_hidden_size")
    predicts = config_at(model, "text_config").get("num_nextn_predict_layers", 0)
    eps = link.encoder.number("layer_norm_eps") or EPS
    norm = named(vision_norm=Norm(wide, "layernorm", bias=True, eps=eps)) if predicts else []
    merge = int(1 / model.positive_number("downsample_ratio")) ** 2
    return [*norm, *_projector("vision", wide * merge, model.size("projector_hidden_size"), link.d_model, merge)]


def project_audio(link: Link) -> list[Named]:
    """Build the audio projector of Nemotron 3 Nano Omni with two linear layers."""
    hidden, bias = link.encoder.size("projection_hidden_size"), link.encoder.flag("projection_bias")
    return _projector("audio", link.d_encoder, hidden, link.d_model, 1, bias)


def _projector(name: str, wide: int, hidden: int, out: int, merge: int, bias: bool = False) -> list[Named]:
    """Return RMSNorm and two linear layers with a squared ReLU between them."""
    norm = Named(f"{name}_projector_norm", Norm(wide, eps=EPS, merge=merge))
    return [norm, *two_linears(f"{name}_projector", wide, hidden, out, activation="relu2", bias=bias, merge=merge)]


def radio(config: Config) -> Stack:
    """Build RADIO [ranzinger2023] with class tokens, registers, and a position table for the largest image size."""
    prompt = config.size("num_cls_tokens") + config.size("num_registers")
    side = config.size("max_img_size") // config.size("patch_size")
    pixels = config.size("num_channels") * config.size("patch_size") ** 2
    config.ignore(
        "image_size patch_dim video_patch_dim summary_idxs norm_mean norm_std layerscale_value drop_path_rate"
    )
    norm = layernorm(config, prompt)
    bias = config.flag("qkv_bias", True)
    fields: Fields = {**BIASED, "q_bias": bias, "k_bias": bias, "v_bias": bias}
    attention = Attention(config.d_model, config.n_heads, causal=False, prompt=prompt, **fields)
    d_ff, gated, act = (
        int(config.d_model * config.positive_number("mlp_ratio")),
        config.flag("use_swiglu_ffn"),
        config.activation(),
    )
    if gated:
        d_ff, act = -(-(d_ff * SWIGLU[0] // SWIGLU[1]) // STEP) * STEP, "silu"
    mlp = Mlp(config.d_model, d_ff, act, gated, bias=True, sequence=with_prefix(prompt))
    block = attention_mlp(attention, mlp, norm, Scale(config.d_model, prompt=prompt))
    inputs = [Named("patch", Linear(pixels, config.d_model, bias=False))]
    frames = config.optional_size("video_temporal_patch_size")
    inputs += named(film=Linear(frames * pixels, config.d_model, bias=False, unused=True)) if frames else []
    inputs += named(
        position=Embedding(side * side, config.d_model, table="position"),
        prefix=Embedding(prompt, config.d_model, table="other", use="prefix"),
    )
    return Stack("vision", config.d_model, tuple(inputs), repeat_block(block, config.n_layers), (), "tower")

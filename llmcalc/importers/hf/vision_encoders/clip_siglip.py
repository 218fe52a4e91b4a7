"""The CLIP, SigLIP, Pixtral and InternViT vision encoders."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Named, Stack
from ....layers import Attention, Embedding, Norm, Rope, SequenceRows
from ..config import BIASED, Config, Fields
from .parts import (
    CLASS_TOKEN,
    attention_mlp,
    encoder_stack,
    grid,
    layernorm,
    patches,
    plain_block,
    pooling_head,
    rectangle,
    rope_theta,
)

PIXTRAL_EPS = 1e-5


def clip(config: Config) -> Stack:
    """Read a CLIP config with a class token, a patch embedding without a bias, and norms around the blocks."""
    norm, act = layernorm(config, CLASS_TOKEN), config.activation()
    inputs = patches(config, bias=False, prefix=CLASS_TOKEN, rows=grid(config) + CLASS_TOKEN)
    block = plain_block(config, norm, act, CLASS_TOKEN, **BIASED)
    return encoder_stack(config, (*inputs, Named("pre_norm", norm)), block, norm)


def siglip(config: Config) -> Stack:
    """Read a SigLIP config without a class token. The pooling head is stored but not used by language models."""
    norm = layernorm(config)
    block = plain_block(config, norm, config.activation(), None, **BIASED)
    found = encoder_stack(config, patches(config, bias=True, rows=grid(config)), block, norm)
    return replace(found, outputs=(*found.outputs, *(pooling_head(config) if config.flag("vision_use_head") else ())))


def pixtral(config: Config) -> Stack:
    """Read a Pixtral config with RMSNorm, gated MLPs and two-dimensional rotary positions."""
    config.ignore("image_size head_dim")
    norm = Norm(config.d_model, eps=PIXTRAL_EPS)
    attention = Attention(config.d_model, config.n_heads, causal=False, rope=Rope(rope_theta(config), grid="alternate"))
    mlp = config.gated_mlp(bias=False)
    inputs = (*patches(config, bias=False), Named("pre_norm", norm))
    return encoder_stack(config, inputs, attention_mlp(attention, mlp, norm), None)


def internvit(config: Config) -> Stack:
    """Read an InternViT config [chen2023] with a per-channel scale on each sub-layer output."""
    width, kind = config.d_model, config.one_of("norm_type", "layer_norm", "rms_norm")
    norm = config.rmsnorm("layer_norm_eps") if kind == "rms_norm" else layernorm(config)
    norm = replace(norm, sequence=SequenceRows(prompt=CLASS_TOKEN))
    rows = rectangle(config, "image_size", "patch_size")
    config.ignore("layer_scale_init_value projection_dropout use_mean_pooling drop_path_rate")
    bias = config.flag("attention_bias")
    fields: Fields = {"q_bias": bias, "k_bias": bias, "v_bias": bias, "o_bias": True}
    fields |= {"qk_norm": "projection"} if config.flag("use_qk_norm") else {}
    inputs = patches(config, bias=True, prefix=CLASS_TOKEN)
    if config.flag("use_mask_token"):
        inputs = (*inputs, Named("mask", Embedding(1, width, table="other", unused=True)))
    if config.flag("use_absolute_position_embeddings", True):
        inputs = (*inputs, Named("position", Embedding(rows + CLASS_TOKEN, width, table="position")))
    block = plain_block(config, norm, config.activation(), CLASS_TOKEN, layer_scale=True, **fields)
    final = None if config.flag("use_mean_pooling", True) else layernorm(config, CLASS_TOKEN)
    return encoder_stack(config, inputs, block, final)

"""LLaMA's closest relatives: other biases, another feed-forward layer, a norm more, no rotation in some layers."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....core.errors import SizeError
from ....core.layer import Layer
from ....layers.head import Head
from ....layers.norm import Norm
from ..config import Config
from ..decoder import decoder, periodic_types, plain_mlp, windowed_attention
from ..rope import dynamic_alpha_fields
from ..rules import (
    TOKENS,
    gated_mlp,
    layer_types,
    layernorm,
    lm_head,
    rmsnorm,
    rope_attention,
    rotary_width,
    sliding_window,
)
from .multipliers import by_base, multipliers


def arcee(config: Config) -> Architecture:
    """Arcee AFM: squared ReLU without a gate."""
    return decoder(config, mlp=plain_mlp(config, bias=config.flag("mlp_bias")))


def nemotron(config: Config) -> Architecture:
    """Nemotron-4 [parmar2024]: LayerNorm, squared ReLU, half of each head rotated."""
    norm = replace(layernorm(config, config.size("hidden_size"), "norm_eps"), unit_offset=True)
    attention = rope_attention(config, rotary_dim=rotary_width(config, 0.5))
    return decoder(config, norm=norm, attention=attention, mlp=plain_mlp(config, bias=config.flag("mlp_bias")))


def jais2(config: Config) -> Architecture:
    """Jais 2: LayerNorm, squared ReLU, biases everywhere."""
    norm = layernorm(config, config.size("hidden_size"))
    return decoder(config, norm=norm, mlp=plain_mlp(config, bias=config.flag("mlp_bias")))


def seed_oss(config: Config) -> Architecture:
    """Seed-OSS: a switch of its own for the output projection's bias."""
    config.ignore("residual_dropout")
    attention = rope_attention(config, o_bias=config.flag("attention_out_bias"))
    return decoder(config, attention=attention, mlp=gated_mlp(config, bias=config.flag("mlp_bias")))


def helium(config: Config) -> Architecture:
    """Helium: no bias on the output projection, which the class gives d_model inputs whatever the heads are."""
    attention = rope_attention(config, o_bias=False, rope_interleaved=True)
    if attention.n_heads * attention.d_head != attention.d_model:  # type: ignore[operator]
        heads = f"{attention.n_heads} heads of {attention.d_head}"
        raise SizeError(f"{heads} do not make the hidden_size {attention.d_model}", where=config.where)
    return decoder(config, attention=attention, mlp=gated_mlp(config, bias=config.flag("mlp_bias")))


def ernie4_5(config: Config) -> Architecture:
    """ERNIE 4.5, dense: one switch for all biases."""
    return _ernie(config, interleaved=True)


def paddleocr(config: Config) -> Architecture:
    """PaddleOCR-VL's language model: ERNIE 4.5, whose heads rotate by halves."""
    return _ernie(config, interleaved=False)


def _ernie(config: Config, interleaved: bool) -> Architecture:
    bias = config.flag("use_bias")
    attention = rope_attention(config, bias=bias, rope_interleaved=interleaved)
    return decoder(config, attention=attention, mlp=gated_mlp(config, bias=bias))


def granite(config: Config) -> Architecture:
    """Granite 3: LLaMA with constant multipliers."""
    attention = rope_attention(config, scale=config.number("attention_multiplier"))
    mlp = gated_mlp(config, bias=config.flag("mlp_bias"))
    return decoder(config, attention=attention, mlp=mlp, **multipliers(config))


def granite_swa(config: Config) -> Architecture:
    """Granite with windows in three of four layers, and sinks."""
    types = layer_types(config, config.size("num_hidden_layers"), periodic_types(config, 4, first=0))
    attention, order = by_base(config, types, sinks=True, scale=config.number("attention_multiplier"))
    mlp = gated_mlp(config, bias=config.flag("mlp_bias"))
    return decoder(config, attention=attention, order=order, mlp=mlp, **multipliers(config))


def hyperclovax(config: Config) -> Architecture:
    """HyperCLOVA X: Granite's multipliers, and a norm on what a sub-layer gives."""
    place = "sandwich" if config.flag("use_post_norm", True) else "pre"
    scaled = multipliers(config)
    scaled["head"] = lm_head(config, input_scale=config.number("logits_scaling"))  # which multiplies here
    attention = rope_attention(config, scale=config.number("attention_multiplier"))
    return decoder(
        config, attention=attention, place=place, mlp=gated_mlp(config, bias=config.flag("mlp_bias")), **scaled
    )


def smollm3(config: Config) -> Architecture:
    """SmolLM3: every fourth layer without rotation, and these may have a window."""
    layers, limit = config.size("num_hidden_layers"), sliding_window(config)
    interval = config.size("no_rope_layer_interval", 4)
    rotated = config.layer_indices("no_rope_layers") or [int((index + 1) % interval != 0) for index in range(layers)]
    limited = limit if config.flag("use_sliding_window") else None
    pattern = ["full_attention" if rope or not limited else "sliding_attention" for rope in rotated]
    kinds: dict[str, Layer] = {
        f"{kind} {positions}": rope_attention(config, window=span, positions=positions)
        for kind, span in (("full_attention", None), ("sliding_attention", limit))
        for positions in ("rope", "none")
    }
    types = zip(layer_types(config, layers, pattern), rotated, strict=False)
    order = [f"{kind} {'rope' if rope else 'none'}" for kind, rope in types]
    return decoder(config, attention=kinds, order=order, mlp=gated_mlp(config, bias=config.flag("mlp_bias")))


def ministral(config: Config) -> Architecture:
    """Ministral: a window in all layers or in those that ``layer_types`` names."""
    limit = sliding_window(config)
    pattern = ["sliding_attention" if limit else "full_attention"] * config.size("num_hidden_layers")
    attention, order = windowed_attention(config, pattern, limit, bias=False)
    return decoder(config, attention=attention, order=order)


def cwm(config: Config) -> Architecture:
    """Code World Model: a window in three of four layers."""
    attention, order = windowed_attention(
        config, periodic_types(config, 4, first=0), sliding_window(config), bias=False
    )
    return decoder(config, attention=attention, order=order, mlp=gated_mlp(config, bias=config.flag("mlp_bias")))


def hunyuan(config: Config) -> Architecture:
    """Hunyuan, dense: a norm on each query and key head."""
    config.ignore("eod_token_id")
    return decoder(
        config, attention=rope_attention(config, qk_norm="head", qk_norm_late=True, **dynamic_alpha_fields(config))
    )


def apertus(config: Config) -> Architecture:
    """Apertus: xIELU [huang2024] with two learned numbers a layer, a norm on each query and key head."""
    return decoder(config, attention=rope_attention(config, qk_norm="head"), mlp=plain_mlp(config))


def nanochat(config: Config) -> Architecture:
    """nanochat: norms without weights, one more behind the token table, soft-capped logits."""
    width, vocab = config.size("hidden_size"), config.size("vocab_size")
    norm = Norm(width, "rmsnorm", scale=False, eps=config.number("rms_norm_eps") or 1e-6)
    share = TOKENS if config.flag("tie_word_embeddings") else None
    head = Head(vocab, width, share=share, softcap=config.number("final_logit_softcapping"))
    attention = rope_attention(config, qk_norm="head", qk_norm_scale=False, qk_norm_late=True, rope_reversed=True)
    inputs = (Named("table_norm", norm),)
    return decoder(config, norm=norm, attention=attention, mlp=plain_mlp(config), head=head, inputs=inputs)


def bitnet(config: Config) -> Architecture:
    """BitNet b1.58: norms before the last matrix of attention and feed-forward layer."""
    attention = rope_attention(config, o_norm=True)
    eps = config.number("rms_norm_eps") or 1e-6
    return decoder(config, attention=attention, mlp=replace(gated_mlp(config), inner_norm=True, inner_norm_eps=eps))


def vaultgemma(config: Config) -> Architecture:
    """VaultGemma: Gemma 2 without the norms on what a sub-layer gives."""
    width, vocab = config.size("hidden_size"), config.size("vocab_size")
    norm = rmsnorm(config, width, unit_offset=True)
    scale = (config.number("query_pre_attn_scalar") or 256.0) ** -0.5
    fields = {"logit_softcap": config.number("attn_logit_softcapping"), "scale": scale}
    attention, order = windowed_attention(config, periodic_types(config, 2, first=1), sliding_window(config), **fields)
    share = TOKENS if config.flag("tie_word_embeddings", True) else None
    head = Head(vocab, width, share=share, softcap=config.number("final_logit_softcapping"))
    mlp, root = gated_mlp(config, activation="hidden_activation"), width**0.5
    return decoder(config, norm=norm, attention=attention, order=order, mlp=mlp, head=head, embedding_scale=root)

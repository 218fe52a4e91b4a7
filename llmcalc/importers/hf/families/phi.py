"""Phi, StarCoder 2 and StableLM: LLaMA's keys with LayerNorm, partial rotation or fused matrices."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....layers.head import Head
from ..config import Config
from ..decoder import decoder, plain_mlp
from ..rules import TOKENS, layernorm, qk_layernorm, rope_attention, rotary_width, sliding_window


def phi(config: Config) -> Architecture:
    """Phi-1 to Phi-2: attention and MLP side by side behind one norm, biases everywhere."""
    width = config.size("hidden_size")
    chosen = qk_layernorm(config, "head", bias=True) if config.flag("qk_layernorm") else {}
    attention = rope_attention(config, bias=True, rotary_dim=rotary_width(config, 0.5), **chosen)
    share = TOKENS if config.flag("tie_word_embeddings") else None
    head = Head(config.size("vocab_size"), width, share=share, bias=True)
    mlp = plain_mlp(config, bias=True)
    return decoder(config, norm=layernorm(config, width), attention=attention, mlp=mlp, place="parallel", head=head)


def phi3(config: Config) -> Architecture:
    """Phi-3 [abdin2024] and Phi-4."""
    attention = rope_attention(config, bias=False, rotary_dim=rotary_width(config), window=sliding_window(config))
    return decoder(config, attention=attention)


def starcoder2(config: Config) -> Architecture:
    """StarCoder 2 [lozhkov2024]: LayerNorm, biases, a window in all layers."""
    bias = config.flag("use_bias", True)
    attention = rope_attention(config, bias=bias, window=sliding_window(config))
    norm = layernorm(config, config.size("hidden_size"), "norm_epsilon")
    return decoder(config, norm=norm, attention=attention, mlp=plain_mlp(config, bias=bias))


def stablelm(config: Config) -> Architecture:
    """StableLM 2: LayerNorm, a quarter of each head rotated, a norm of its own for each head."""
    norms = qk_layernorm(config) if config.flag("qk_layernorm") else {}
    attention = rope_attention(
        config, bias=config.flag("use_qkv_bias"), o_bias=False, rotary_dim=rotary_width(config, 0.25), **norms
    )
    place = "parallel" if config.flag("use_parallel_residual") else "pre"
    return decoder(config, norm=layernorm(config, config.size("hidden_size")), attention=attention, place=place)

"""Gemma 1 to 3, VaultGemma and RecurrentGemma."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack
from typing import Any

from ....core.architecture import Architecture, Block
from ....core.layer import Layer
from ....layers import Head, Mlp, RgLru
from ..config import TOKENS, Config
from ..decoder import decoder
from ..rope import local_global_theta
from ..rules import causal_lm, group_runs, hybrid_runs, prenorm_block, repeat_block, sublayer


def vaultgemma(config: Config) -> Architecture:
    """VaultGemma: Gemma 2 without norms on the output of sub-layers."""
    norm = config.rmsnorm(unit_offset=True)
    scale = (config.number("query_pre_attn_scalar") or 256.0) ** -0.5
    fields = {"logit_softcap": config.number("attn_logit_softcapping"), "scale": scale}
    attention, order = config.windowed_attention(config.periodic_types(2, first=1), config.sliding_window(), **fields)
    share = TOKENS if config.flag("tie_word_embeddings", True) else None
    head = Head(config.vocab, config.d_model, share=share, softcap=config.number("final_logit_softcapping"))
    mlp, root = config.gated_mlp(activation="hidden_activation"), config.d_model**0.5
    return decoder(config, norm=norm, attention=attention, order=order, mlp=mlp, head=head, embedding_scale=root)


def recurrent_gemma(config: Config) -> Architecture:
    """RecurrentGemma [botev2024]: Griffin's recurrent blocks; every third layer is windowed attention."""
    width, layers = config.d_model, config.n_layers
    norm = config.rmsnorm(width=width, unit_offset=True)
    config.ignore("w_init_variance_scale final_w_init_variance_scale")
    activation = config.activation("hidden_activation")
    lru = config.optional_size("lru_width") or width
    biased, share = config.flag("attention_bias"), TOKENS if config.flag("tie_word_embeddings", True) else None
    attention = config.attention(
        bias=False,
        q_bias=biased,
        k_bias=biased,
        v_bias=biased,
        o_bias=True,
        window=config.sliding_window("attention_window_size"),
        rotary_dim=config.rotary_width(0.5),
    )
    mixers: dict[str, Layer] = {
        "attention": attention,
        "recurrent": RgLru(width, lru, config.n_heads, config.size("conv1d_width"), activation),
    }
    mlp = Mlp(width, config.size("intermediate_size") // 2, activation, gated=True, bias=True)
    cycle = config.strings("block_types")
    if not cycle:
        raise config.error("block_types is empty")
    runs = hybrid_runs(norm, mixers, {"dense": mlp}, ((cycle[index % len(cycle)], "dense") for index in range(layers)))
    head = Head(config.vocab, width, share, softcap=config.number("logits_soft_cap"))
    return causal_lm(config, runs, norm, head=head, embedding_scale=_bfloat16(width**0.5))


def _bfloat16(value: float) -> float:
    """A number rounded to bfloat16, the format in which the class stores this factor."""
    bits: int = unpack("<I", pack("<f", value))[0]
    bits += 0x7FFF + (bits >> 16 & 1)
    return float(unpack("<f", pack("<I", bits & 0xFFFF0000))[0])


def gemma(config: Config) -> Architecture:
    """Gemma 1 [gemma2024]."""
    norm = config.rmsnorm(unit_offset=True)
    key = "hidden_activation" if config.get("hidden_activation") else "hidden_act"
    attention = config.attention(causal=not config.flag("use_bidirectional_attention"))
    block = prenorm_block("block", norm, attention=attention, mlp=config.gated_mlp(activation=key))
    scale = config.d_model**0.5
    return causal_lm(config, repeat_block(block, config.n_layers), norm, embedding_scale=scale)


def gemma2(config: Config) -> Architecture:
    """Gemma 2: every second layer has a window; scores and logits are soft-capped."""
    pattern = ["sliding_attention" if index % 2 == 0 else "full_attention" for index in range(config.n_layers)]
    return _sandwich(config, pattern)


def gemma3(config: Config) -> Architecture:
    """Gemma 3: five layers with a window per layer without one; norms on query and key heads."""
    layers = config.n_layers
    period = config.count("sliding_window_pattern") or config.count("_sliding_window_pattern", 6)
    pattern = ["full_attention" if (index + 1) % period == 0 else "sliding_attention" for index in range(layers)]
    config.ignore("attn_logit_softcapping")  # a key of the class without effect
    return _sandwich(config, pattern, local_global_theta, qk_norm="head", logit_softcap=None)


def _sandwich(
    config: Config, pattern: list[str], base: Callable[[Config, str], float] = Config.rope_theta, **changes: object
) -> Architecture:
    """Blocks with norms before and after each sub-layer; ``base`` gives the rotary base of a layer type."""
    norm = config.rmsnorm(unit_offset=True)
    limit, softcap = config.sliding_window(), config.number("attn_logit_softcapping")
    scale = (config.number("query_pre_attn_scalar") or 256.0) ** -0.5
    causal = not config.flag("use_bidirectional_attention")
    if not causal and limit:
        limit = limit // 2 + 1  # the class halves the window on each side, counting the token itself

    def block(name: str, kind: str, span: int | None) -> Block:
        fields: dict[str, Any] = {
            "qk_norm_unit_offset": True,
            "window": span,
            "logit_softcap": softcap,
            "causal": causal,
            "scale": scale,
            "rope_theta": base(config, kind),
            **changes,
        }
        attention = config.attention(layer_type=kind, **fields)
        mlp = config.gated_mlp(activation="hidden_activation")
        return Block(
            name, (sublayer("attention", attention, pre=norm, post=norm), sublayer("mlp", mlp, pre=norm, post=norm))
        )

    kinds = {
        "sliding_attention": block("local", "sliding_attention", limit),
        "full_attention": block("global", "full_attention", None),
    }
    types = config.layer_types(pattern)
    tied = config.flag("tie_word_embeddings", True)
    vocab, width = config.vocab, config.d_model
    head = Head(vocab, width, share=TOKENS if tied else None, softcap=config.number("final_logit_softcapping"))
    return causal_lm(config, group_runs(kinds[kind] for kind in types), norm, head=head, embedding_scale=width**0.5)

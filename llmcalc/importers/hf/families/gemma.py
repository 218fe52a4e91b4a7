"""Gemma 1 to 3, VaultGemma and RecurrentGemma."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack

from ....core.architecture import Architecture
from ....layers import Mlp, RgLru
from ..config import Config, Fields, Layers
from ..rope import local_global_theta
from ..rules import decoder


def vaultgemma(config: Config) -> Architecture:
    """Read a VaultGemma config. The model is Gemma 2 without norms on sub-layer outputs."""
    return _windowed(config, config.periodic_types(2, first=1), "pre")


def recurrent_gemma(config: Config) -> Architecture:
    """Read a RecurrentGemma config [botev2024]. Every third layer uses windowed attention instead of recurrence."""
    width, activation = config.d_model, config.activation("hidden_activation")
    config.ignore("w_init_variance_scale final_w_init_variance_scale")
    window, kernel = config.sliding_window("attention_window_size"), config.size("conv1d_width")
    mixers: Layers = {
        "attention": config.attention(o_bias=True, window=window, rope={"dim": config.rotary_width(0.5)}),
        "recurrent": RgLru(width, config.optional_size("lru_width") or width, config.n_heads, kernel, activation),
    }
    mlp = Mlp(width, config.size("intermediate_size") // 2, activation, gated=True, bias=True)
    cycle = config.strings("block_types")
    if not cycle:
        raise config.error("block_types is missing or empty")
    order = [cycle[index % len(cycle)] for index in range(config.n_layers)]
    norm, head = config.rmsnorm(unit_offset=True), config.lm_head(softcap=config.number("logits_soft_cap"))
    return decoder(config, mixers, mlp, order, norm=norm, head=head, embedding_scale=_bfloat16(width**0.5))


def _bfloat16(value: float) -> float:
    """Round a number to bfloat16, the format in which the transformers class stores the embedding scale."""
    bits: int = unpack("<I", pack("<f", value))[0]
    bits += 0x7FFF + (bits >> 16 & 1)
    return float(unpack("<f", pack("<I", bits & 0xFFFF0000))[0])


def gemma(config: Config) -> Architecture:
    """Read a Gemma 1 config [gemma2024]."""
    key = "hidden_activation" if config.get("hidden_activation") else "hidden_act"
    attention = config.attention(causal=not config.flag("use_bidirectional_attention"))
    norm, mlp = config.rmsnorm(unit_offset=True), config.gated_mlp(activation=key)
    return decoder(config, attention, mlp, norm=norm, embedding_scale=config.d_model**0.5)


def gemma2(config: Config) -> Architecture:
    """Read a Gemma 2 config. Every other layer has a sliding window, and scores and logits are soft-capped."""
    return _windowed(config, config.periodic_types(2, first=1))


def gemma3(config: Config) -> Architecture:
    """Read a Gemma 3 config. Five of every six layers have a sliding window, and query and key heads are
    normalised.
    """
    period = config.count("sliding_window_pattern") or config.count("_sliding_window_pattern", 6)
    pattern = config.periodic_types(period, period - 1)
    config.ignore("attn_logit_softcapping")  # a class key without effect
    return _windowed(config, pattern, base=local_global_theta, qk_norm={"unit_offset": True}, logit_softcap=None)


def _windowed(
    config: Config,
    pattern: list[str],
    place: str = "sandwich",
    base: Callable[[Config, str], float] = Config.rope_theta,
    **changes: object,
) -> Architecture:
    """Return a decoder whose layers have a window or none. ``base`` maps a layer type to its rotary base."""
    limit, softcap = config.sliding_window(), config.number("attn_logit_softcapping")
    scale = (config.number("query_pre_attn_scalar") or 256.0) ** -0.5
    causal = not config.flag("use_bidirectional_attention")
    if not causal and limit:
        limit = limit // 2 + 1  # the class halves the window on each side and counts the token itself

    mixers: Layers = {}
    for kind, span in (("sliding_attention", limit), ("full_attention", None)):
        fields: Fields = {"logit_softcap": softcap, "causal": causal, "scale": scale, "window": span}
        fields["rope"] = {"theta": base(config, kind)}
        mixers[kind] = config.attention(layer_type=kind, **{**fields, **changes})
    mlp, order = config.gated_mlp(activation="hidden_activation"), config.layer_types(pattern)
    head, norm = config.lm_head(softcap=config.number("final_logit_softcapping")), config.rmsnorm(unit_offset=True)
    scale = config.d_model**0.5
    return decoder(config, mixers, mlp, order, norm=norm, place=place, head=head, embedding_scale=scale)

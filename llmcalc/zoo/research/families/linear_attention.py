"""Models of the flash-linear-attention library: delta nets, GLA, retention, and their softmax baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....core.architecture import Architecture
from ....core.errors import UnknownNameError
from ....core.layer import Layer
from ....importers.hf.config import Config
from ....importers.hf.rules import causal_lm, mixed_runs, prenorm_block
from ....layers import Attention, GatedDeltaNet, Mlp, Rope
from ..layers.gated_linear_attention import GatedLinearAttention

IGNORED = """
    attn_mode max_position_embeddings fuse_norm fuse_swiglu fuse_cross_entropy fuse_linear_cross_entropy use_l2warp
"""
STEP = 256  # hidden widths are rounded up to a multiple
DECAY_RANK = 16
SPEC = ("layers", "num_heads", "num_kv_heads", "qkv_bias", "window_size", "rope_theta")


def transformer(config: Config) -> Architecture:
    """Read a config of the library's transformer with rotary positions and gated feed-forward layers."""
    attention = config.attention(
        bias=config.flag("qkv_bias"),
        o_bias=False,
        window=config.optional_size("window_size"),
        qk_norm={"over": "head", "eps": 1e-5} if config.flag("qk_norm") else "none",
    )
    return _decoder(config, attention)


def gated_deltanet(config: Config) -> Architecture:
    """Read a Gated DeltaNet config [yang2024] with one short convolution per projection."""
    _check(config, use_gate=True, use_short_conv=True)
    head, heads = config.size("head_dim"), config.n_heads
    mixer = GatedDeltaNet(
        config.d_model,
        heads,
        config.optional_size("num_v_heads") or heads,
        head,
        int(head * config.positive_number("expand_v")),
        config.size("conv_size"),
        norm_eps=config.eps,
        negative_eigenvalues=config.flag("allow_neg_eigval"),
    )
    return _decoder(config, mixer)


def delta_net(config: Config) -> Architecture:
    """Read a DeltaNet config [yang2024parallel], a delta net without decay and, by default, without an output gate."""
    _check(config, use_beta=True, use_short_conv=True)
    config.ignore("use_output_norm")
    config.one_of("qk_activation", "silu")
    config.one_of("qk_norm", "l2")
    heads, (keys, values) = config.n_heads, _widths(config)
    mixer = GatedDeltaNet(
        config.d_model,
        heads,
        heads,
        config.divide_by_heads(keys),
        config.divide_by_heads(values),
        config.size("conv_size"),
        norm_eps=config.eps,
        negative_eigenvalues=config.flag("allow_neg_eigval"),
        decays=False,
        gated=config.flag("use_gate"),
    )
    return _decoder(config, mixer)


def _widths(config: Config) -> tuple[int, int]:
    """Return the widths of the keys and of the values of all heads."""
    keys, values = (int(config.d_model * config.positive_number(f"expand_{name}")) for name in "kv")
    return config.integer(keys, "expand_k", 1), config.integer(values, "expand_v", 1)


def gla(config: Config) -> Architecture:
    """Read a GLA config [yang2023gla], with a low-rank projection to the decay of each key channel."""
    config.ignore("use_gk use_gv")
    config.unmodelled_unless("clamp_min")
    return _decoder(config, _linear(config, decay_rank=DECAY_RANK, decay_scale=1 / DECAY_RANK))


def retnet(config: Config) -> Architecture:
    """Read a RetNet config [sun2023], with rotated queries and keys and a fixed decay per head."""
    return _decoder(config, _linear(config, rope=Rope()))


def _linear(config: Config, **fields: Any) -> GatedLinearAttention:
    _check(config, use_short_conv=False, elementwise_affine=True)
    if config.get("feature_map") is not None:
        raise config.error("feature_map is not supported")
    config.check_equal("num_kv_heads", config.n_heads)
    keys, values = _widths(config)
    return GatedLinearAttention(
        config.d_model,
        config.n_heads,
        config.divide_by_heads(keys),
        config.divide_by_heads(values),
        gated=config.flag("use_output_gate"),
        norm_eps=config.eps,
        **fields,
    )


def _check(config: Config, **supported: bool) -> None:
    """Raise an error unless the flags have the values that the library's models have."""
    for key, value in supported.items():
        if config.flag(key) is not value:
            raise config.error(f"only {key}: {str(value).lower()} is supported")


def _decoder(config: Config, mixer: Layer) -> Architecture:
    """Return a pre-norm decoder. ``attn`` lists the layers that have softmax attention instead of ``mixer``."""
    config.ignore(IGNORED)
    config.one_of("hidden_act", "swish")
    mixers: dict[str, Layer] = {"": mixer}
    order = [""] * config.n_layers
    for number, spec in enumerate(_specs(config)):
        name = f"attention{number or ''}"
        mixers[name] = _attention(config, spec)
        for index in spec["layers"]:
            if type(index) is not int or not 0 <= index < len(order):
                raise config.size_error(f"attn.layers must list layers from 0 to {len(order) - 1}, not {index}")
            order[index] = name
    ratio = config.optional_size("hidden_ratio") or 4
    usual = -(-int(config.d_model * ratio * 2 / 3) // STEP) * STEP
    feeds: Mapping[str, Layer] = {
        "mlp": Mlp(config.d_model, config.size("intermediate_size", usual), "silu", gated=True)
    }
    norm = config.rmsnorm()
    runs = mixed_runs(
        {name: layer for name, layer in mixers.items() if name in order},
        feeds,
        ((name, "mlp") for name in order),
        lambda name, layer, mlp: prenorm_block(name, norm, attention=layer, mlp=mlp),
        {"": "linear"},
    )
    return causal_lm(config, runs, norm)


def _specs(config: Config) -> list[Mapping[str, Any]]:
    """Return the specifications of layers with softmax attention."""
    given = config.get("attn")
    specs = given if isinstance(given, list) else [given] if given is not None else []
    for spec in specs:
        if not isinstance(spec, Mapping) or "num_heads" not in spec or not isinstance(spec.get("layers"), list):
            raise config.error("attn must be an object with layers and num_heads, or a list of such objects")
        for key in spec:
            if key not in SPEC:
                raise UnknownNameError("attn key", str(key), SPEC, where=config.where)
    return specs


def _attention(config: Config, spec: Mapping[str, Any]) -> Attention:
    heads = config.integer(spec["num_heads"], "attn.num_heads", 1)
    groups, window = spec.get("num_kv_heads"), spec.get("window_size")
    bias = spec.get("qkv_bias") is True
    return Attention(
        config.d_model,
        heads,
        heads if groups is None else config.integer(groups, "attn.num_kv_heads", 1),
        window=None if window is None else config.integer(window, "attn.window_size", 1),
        rope=Rope(config.finite_number(spec.get("rope_theta", 10_000.0), "attn.rope_theta")),
        q_bias=bias,
        k_bias=bias,
        v_bias=bias,
    )

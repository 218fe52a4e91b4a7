"""Liquid AI's LFM2 and LFM3 hybrids of short convolutions and attention."""

from __future__ import annotations

from ....core.architecture import Architecture, Block
from ....core.layer import Layer
from ....layers import Gate, Mlp, ShortConv
from ....layers.parts.qk_norm import QkNorm
from ..config import Config, Fields, Layers
from ..rules import causal_lm, decoder, runs_by_type, sublayer

_ROPE_BASE = 1000000.0


def lfm2(config: Config) -> Architecture:
    """Read an LFM2 config with short convolutions, attention and dense MLPs."""
    chosen = config.get("full_attn_idxs")
    attention = set(range(config.n_layers) if chosen is None else config.layer_indices("full_attn_idxs"))
    pattern = ["full_attention" if index in attention else "conv" for index in range(config.n_layers)]
    return _lfm(config, Mlp(config.d_model, _mlp_width(config), "silu", gated=True), config.layer_types(pattern))


def lfm2_moe(config: Config) -> Architecture:
    """Read an LFM2-MoE config with initial dense layers and sigmoid-routed experts."""
    types = config.strings("layer_types", config.n_layers)
    if types is None:
        raise config.error("layer_types is missing", hint="add layer_types (this family has no default)")
    correction = "buffer" if config.flag("use_expert_bias") else "none"
    routing = {"score": "sigmoid", "correction": correction, "renormalise_eps": 1e-6}
    routed = config.experts(activation="silu", routing=routing)
    dense = Mlp(config.d_model, config.size("intermediate_size"), "silu", gated=True)
    count = config.count("num_dense_layers")
    kinds = ["dense" if index < count else "sparse" for index in range(config.n_layers)]
    return _lfm(config, {"dense": dense, "sparse": routed}, types, kinds)


def lfm3(config: Config) -> Architecture:
    """Read an LFM3 config with short convolutions, full and windowed attention, and optional sandwich norms."""
    width, layers = config.d_model, config.n_layers
    norm = config.rmsnorm("norm_eps")
    gate = Gate(per_head=True, bias="none") if config.flag("use_attention_gate") else None
    changes: Fields = {"qk_norm": QkNorm(eps=norm.eps), "gate": gate}
    base = config.rope_theta("full_attention", _ROPE_BASE)
    local = config.attention(layer_type="sliding_attention", window=config.sliding_window(), **changes)
    turned = config.rotary_width(0.5, "full_attention")
    distant = config.attention(layer_type="full_attention", rope={"theta": base, "dim": turned}, **changes)
    mixers: Layers = {"conv": _short_conv(config), "full_attention": distant, "sliding_attention": local}
    pattern = [
        "full_attention" if i % 4 == 2 else "conv" if i % 4 or not i else "sliding_attention" for i in range(layers)
    ]
    norms = {"pre": norm, "post": norm if config.flag("use_sandwich_norm") else None}
    mlp = sublayer("mlp", Mlp(width, config.size("intermediate_size"), "silu", gated=True), **norms)
    names = {"full_attention": "global", "sliding_attention": "local", "conv": "conv"}
    kinds = {kind: Block(names[kind], (sublayer("mixer", mixer, **norms), mlp)) for kind, mixer in mixers.items()}
    return causal_lm(config, runs_by_type(kinds, config.layer_types(pattern)), norm)


def _lfm(
    config: Config, feed: Layer | dict[str, Layer], types: list[str], kinds: list[str] | None = None
) -> Architecture:
    norm = config.rmsnorm("norm_eps")
    base = config.rope_theta(default=_ROPE_BASE)
    mixers: Layers = {
        "full_attention": config.attention(bias=False, rope={"theta": base}, qk_norm=QkNorm(eps=norm.eps)),
        "conv": _short_conv(config),
    }
    tied = config.flag("tie_embedding", config.flag("tie_word_embeddings", True))
    return decoder(config, mixers, feed, types, kinds, norm=norm, tied=tied)


def _short_conv(config: Config) -> ShortConv:
    return ShortConv(config.d_model, config.size("conv_L_cache"), config.flag("conv_bias"))


def _mlp_width(config: Config) -> int:
    """Return the MLP width derived from ``intermediate_size`` (``block_ff_dim`` in older configs)."""
    written = config.optional_size("block_ff_dim") or config.size("intermediate_size")
    factor, multiple = config.number("block_ffn_dim_multiplier"), config.size("block_multiple_of")
    if not config.flag("block_auto_adjust_ff_dim"):
        return written
    inner = int(2 * written / 3)
    return inner if factor is None else -(-int(factor * inner) // multiple) * multiple

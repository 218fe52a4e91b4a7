"""ZAYA decoders with compressed convolutional attention and one routed expert per token."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....core.errors import UnknownNameError
from ....core.layer import Layer
from ....importers.hf.config import Config
from ....importers.hf.rules import causal_lm, group_runs
from ....layers import RouterNetwork
from ..layers.affine import Affine
from ..layers.compressed_convolutional_attention import CompressedConvolutionalAttention

_BASES = {"hybrid": 5_000_000.0, "hybrid_sliding": 10_000.0}


def zaya(config: Config) -> Architecture:
    """Read a ZAYA-1 config. Every router after the first also reads the router state of the previous layer."""
    types = config.layer_types(["hybrid"] * config.n_layers)
    limit = config.sliding_window()
    if limit is None and "hybrid_sliding" in types:
        raise config.error("sliding_window is missing")
    if config.size("num_experts_per_tok") != 1:
        raise config.error("only num_experts_per_tok: 1 is supported")
    known: dict[tuple[str, bool], Block] = {}
    order = []
    for index, kind in enumerate(types):
        if kind not in _BASES:
            raise UnknownNameError("layer type", kind, _BASES, where=config.where)
        key = (kind, index > 0)
        known[key] = known.get(key) or _block(config, *key, limit if kind == "hybrid_sliding" else None)
        order.append(known[key])
    head = config.lm_head(bias=config.flag("lm_head_bias"))
    scale = Named("scale", Affine(config.d_model))
    return causal_lm(config, group_runs(order), config.rmsnorm(), head=head, inputs=(scale,))


def _block(config: Config, kind: str, hears: bool, limit: int | None) -> Block:
    width, norm = config.d_model, config.rmsnorm()
    values = config.size("num_key_value_heads") * config.size("head_dim")
    if values % 2:
        raise config.size_error(f"num_key_value_heads · head_dim must be even, not {values}")
    attention = CompressedConvolutionalAttention(
        width,
        config.n_heads,
        config.size("num_key_value_heads"),
        config.size("head_dim"),
        config.size("cca_time0"),
        config.size("cca_time1"),
        config.flag("attention_bias"),
        config.rope(kind, theta=config.rope_theta(kind, _BASES[kind]), dim=config.rotary_width(0.5)),
        limit,
    )
    routed = config.experts(
        routing={"correction": "buffer", "renormalise": False, "eps": norm.eps},
        router_network=RouterNetwork(config.size("router_hidden_size"), hears),
        n_null_experts=1,
    )

    def scaled(name: str, layer: Layer) -> Sublayer:
        return Sublayer(name, (Branch(name, layer),), norm, after=Affine(width, residual=True))

    return Block(kind if hears else f"{kind}_first", (scaled("attention", attention), scaled("moe", routed)))

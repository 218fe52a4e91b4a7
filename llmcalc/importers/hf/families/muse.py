"""The dense Muse Glimmer family and the Muse Spark mixture-of-experts family."""

from __future__ import annotations

import math
from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run
from ....core.layer import Layer
from ....layers import Attention, Gate, Latent, Moe, Norm, Routing, Scale
from ....layers.parts.output_norm import OutputNorm
from ..config import SIGMOID, Config, Fields, Layers
from ..rules import causal_lm, runs_by_type, runs_of, sublayer

PERIOD = 4  # period of layers without a window and without positions
_PLACES = {"full_attention": "global", "sliding_attention": "local"}


def muse_spark(config: Config) -> Architecture:
    """Read a Muse Spark config with gated attention, latent-space experts and weighted residual sums."""
    layers = config.n_layers
    rare = [(layers - 1 - index) % PERIOD == 0 for index in range(layers)]
    kinds = config.layer_types(["full_attention" if full else "sliding_attention" for full in rare])
    bases = config.per_layer("layer_rope_theta", [not full for full in rare])
    feeds: Layers = {"dense": config.gated_mlp(), "sparse": _spark_experts(config)}
    gate: Fields = {"gate": Gate(bias="none"), "qk_norm": {"scale": False}}
    gate |= {"o_norm": OutputNorm("head", eps=config.eps)}
    factor = config.number("qk_scale_factor", 1.0) or 1.0
    spans = {"full_attention": None, "sliding_attention": config.sliding_window()}

    def build(key: tuple[str, bool, str]) -> Block:
        kind, base, feed = key
        config.check_known("layer type", [kind], spans)
        config.check_known("layer type", [feed], feeds)
        attention = config.attention(**gate, rope={} if base else None, window=spans[kind])
        attention = replace(attention, scale=factor / math.sqrt(attention.d_head or 1))
        return _weighted_block(config, attention, feeds[feed], "_".join(map(str, key)))

    return _muse(config, runs_of(zip(kinds, map(bool, bases), config.mlp_types(0), strict=True), build))


def _muse(config: Config, runs: tuple[Run, ...]) -> Architecture:
    """Return a model that normalises its embeddings and bounds its logits."""
    scale, cap = config.number("output_multiplier", 1.0) or 1.0, config.number("final_logit_softcapping")
    head, norm = config.lm_head(input_scale=scale, softcap=cap), config.rmsnorm()
    inputs = (Named("embedding_norm", Norm(config.d_model, scale=False, eps=norm.eps)),)
    return causal_lm(config, runs, norm, head=head, inputs=inputs)


def _weighted_block(config: Config, attention: Layer, feed: Layer, name: str) -> Block:
    """Return a block with sandwich norms and learned residual weights."""
    width = config.d_model
    gain = 1 / config.positive_number("residual_gate_temperature")
    norm, both = config.rmsnorm(unit_offset=True), Scale(width, of="both", gain=gain)
    eps = config.number("post_norm_eps") or 1e-6
    plain, weighed = Norm(width, scale=False, eps=eps), Norm(width, eps=eps, unit_offset=True, weighted_first=True)
    mixer = sublayer("attention", attention, pre=norm, post=plain, after=both)
    return Block(name, (mixer, sublayer("mlp", feed, pre=norm, post=weighed, after=both)))


def _spark_experts(config: Config) -> Moe:
    keys = "d_ff=moe_intermediate_size n_experts=num_local_experts top_k=num_experts_per_tok"
    latent = Latent(config.size("moe_hidden_size"), in_norm=True, eps=config.eps)
    scale, gain = (config.number(key, 1.0) or 0.0 for key in ("routed_scaling_factor", "output_multiplier"))
    routing = Routing(**SIGMOID, renormalise=True, renormalise_eps=1e-15, scale=scale, gain=gain)
    norm: Fields = {"result_norm": True, "result_norm_eps": config.number("post_norm_eps") or 1e-6}
    return config.layer(Moe, f"{keys} activation=hidden_act", routing=routing, latent=latent, **norm)


def muse_glimmer(config: Config) -> Architecture:
    """Read a Muse Glimmer text config."""
    layers = config.n_layers
    before, behind = (config.rmsnorm(key, unit_offset=True) for key in ("rms_norm_eps", "post_norm_eps"))
    mlp = sublayer("mlp", config.gated_mlp(activation="hidden_activation"), pre=before, post=behind)
    blocks = {
        name: Block(name, (sublayer("attention", layer, pre=before, post=behind), mlp))
        for name, layer in _attention(config).items()
    }
    pattern = ["sliding_attention" if (layers - 1 - index) % PERIOD else "full_attention" for index in range(layers)]
    types = config.layer_types(pattern)
    order = [_PLACES.get(kind, kind) + how for kind, how in zip(types, _position_suffixes(config, layers), strict=True)]
    return _muse(config, runs_by_type(blocks, order))


def _attention(config: Config) -> dict[str, Attention]:
    """Return global and local attention layers, each with and without rotary positions."""
    rotated = config.attention(gate=Gate(bias="none"), qk_norm={"scale": False})
    scale = (config.number("qk_scale_factor", 1.0) or 1.0) / math.sqrt(rotated.d_head or 1)
    return {
        f"{place}{how}": replace(rotated, scale=scale, window=limit, rope=rope)
        for place, limit in (("global", None), ("local", config.sliding_window()))
        for how, rope in (("", rotated.rope), ("_unplaced", None))
    }


def _position_suffixes(config: Config, layers: int) -> list[str]:
    """Return a type suffix for each layer. Layers with a ``layer_rope_theta`` of 0 have no rotary positions."""
    usual = [(layers - 1 - index) % PERIOD for index in range(layers)]
    return ["" if base else "_unplaced" for base in config.per_layer("layer_rope_theta", usual)]

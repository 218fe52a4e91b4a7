"""Language models of mid-2026: Muse Spark, Mistral Large 4, GLM-5.3."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....core.errors import SizeError, UnknownNameError
from ....core.layer import Layer
from ....layers.hyper_connection import HyperConnection
from ....layers.kda import Kda
from ....layers.mla import Mla
from ....layers.moe import Moe
from ....layers.norm import Norm
from ....layers.scale import Scale
from ..config import Config
from ..rules import (
    causal_lm,
    gated_mlp,
    group_runs,
    hybrid_runs,
    layer_types,
    lm_head,
    mlp_types,
    rmsnorm,
    rope_attention,
    sliding_window,
)
from .deepseek import mla, shared_experts
from .dsa import indexers_of
from .muse import PERIOD
from .streams import streamed



def muse_spark(config: Config) -> Architecture:
    """Muse Spark: gated attention, experts in a space of their own, both sides of each sum with a learned weight."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    rare = [(layers - 1 - index) % PERIOD == 0 for index in range(layers)]
    kinds = layer_types(config, layers, ["full_attention" if full else "sliding_attention" for full in rare])
    bases = config.get("layer_rope_theta") or [0 if full else 1 for full in rare]
    if not isinstance(bases, list) or len(bases) < layers:
        raise SizeError(f"layer_rope_theta has no base for each of {layers} layers", where=config.where)
    feeds: dict[str, Layer] = {"dense": gated_mlp(config), "sparse": _spark_experts(config)}
    gate: dict[str, Any] = {"gated": True, "gate_bias": "none", "qk_norm": "head", "qk_norm_scale": False}
    gate |= {"head_norm": True}
    factor = config.number("qk_scale_factor", 1.0) or 1.0
    spans = {"full_attention": None, "sliding_attention": sliding_window(config)}
    blocks: dict[tuple[str, bool, str], Block] = {}
    order = []
    for kind, base, feed in zip(kinds, bases, mlp_types(config, layers, 0), strict=False):
        for word, known in ((kind, spans), (feed, feeds)):
            if word not in known:
                raise UnknownNameError("layer type", word, known, where=config.where)
        key = kind, bool(base), feed
        if key not in blocks:
            places: dict[str, Any] = {"positions": "rope" if base else "none", "window": spans[kind]}
            attention = rope_attention(config, **gate, **places)
            attention = replace(attention, scale=factor / math.sqrt(attention.d_head or 1))
            blocks[key] = _balanced(config, attention, feeds[feed], "_".join(map(str, key)))
        order.append(blocks[key])
    scale, cap = config.number("output_multiplier", 1.0) or 1.0, config.number("final_logit_softcapping")
    head, norm = lm_head(config, input_scale=scale, softcap=cap), rmsnorm(config, width)
    inputs = (Named("embedding_norm", Norm(width, scale=False, eps=norm.eps)),)
    return causal_lm(config, group_runs(order), norm, head=head, inputs=inputs)


def _spark_experts(config: Config) -> Moe:
    hidden, chosen = config.size("moe_intermediate_size"), config.size("num_experts_per_tok")
    return Moe(
        config.size("hidden_size"),
        hidden,
        config.size("num_local_experts"),
        chosen,
        config.activation(),
        router="sigmoid",
        renormalise=True,
        correction_bias="buffer",
        d_latent=config.size("moe_hidden_size"),
        latent_in_norm=True,
        latent_norm_eps=config.number("rms_norm_eps") or 1e-6,
        result_norm=True,
        result_norm_eps=config.number("post_norm_eps") or 1e-6,
        renormalise_eps=1e-15,
        routed_scale=_number(config, "routed_scaling_factor"),
        router_gain=_number(config, "output_multiplier"),
    )


def _number(config: Config, key: str) -> float:
    given = config.number(key)
    return 1.0 if given is None else given


def _balanced(config: Config, attention: Layer, feed: Layer, name: str) -> Block:
    """Norms before and behind both parts, and sums of which both sides have a weight."""
    width = config.size("hidden_size")
    gain = 1 / config.positive_number("residual_gate_temperature")
    norm, both = rmsnorm(config, width, unit_offset=True), Scale(width, of="both", gain=gain)
    eps = config.number("post_norm_eps") or 1e-6
    plain, weighed = Norm(width, scale=False, eps=eps), Norm(width, eps=eps, unit_offset=True, weighted_first=True)
    return Block(
        name,
        (
            Sublayer("attention", (Branch("attention", attention),), pre=norm, post=plain, after=both),
            Sublayer("mlp", (Branch("mlp", feed),), pre=norm, post=weighed, after=both),
        ),
    )


def mistral_large4(config: Config) -> Architecture:
    """Mistral Large 4: an indexer of the input, learned growth of queries, layers that share a latent or a choice."""
    layers = config.size("num_hidden_layers")
    config.ignore("layer_types num_experts index_topk_freq index_skip_topk_offset index_topk_pattern moe_layer_freq")
    period = config.size("no_rope_layer_interval", 4)
    turned = config.get("no_rope_layers") or [int((index + 1) % period != 0) for index in range(layers)]
    sources = config.get("kv_source_layers") or list(range(layers))
    for key, value in (("no_rope_layers", turned), ("kv_source_layers", sources)):
        if not isinstance(value, list) or len(value) < layers or not all(type(item) is int for item in value):
            raise SizeError(f"{key} has no number for each of {layers} layers", where=config.where)
    norm, feeds = rmsnorm(config, config.size("hidden_size")), mlp_types(config, layers, _dense(config, layers))
    kinds, mixers, order = indexers_of(config, layers), dict[str, Layer](), []
    parts: dict[str, Layer] = {"dense": gated_mlp(config), "sparse": _large_experts(config)}
    for index, (indexer, turns, source) in enumerate(zip(kinds, turned, sources, strict=False)):
        if indexer not in ("full", "shared"):
            raise UnknownNameError("indexer type", indexer, ("full", "shared"), where=config.where)
        lent = index in sources[index + 1 : layers]
        name = "_".join(
            (indexer, "rope" if turns else "nope", "lent" if lent else "own" if source == index else "reused")
        )
        mixers.setdefault(name, _growing(config, indexer == "full", bool(turns), source != index, lent))
        order.append(name)
    softcap = config.number("final_logit_softcapping")
    runs = hybrid_runs(norm, mixers, parts, zip(order, feeds, strict=True))
    return causal_lm(config, runs, norm, head=lm_head(config, softcap=softcap))


def _dense(config: Config, layers: int) -> int:
    return min(config.count("first_k_dense_replace"), layers)


def _large_experts(config: Config) -> Moe:
    return shared_experts(config, router="softmax", correction_bias="none", renormalise=True)


def _growing(config: Config, indexer: bool, turned: bool, reused: bool, lent: bool) -> Mla:
    """Attention of one layer; without rotation, the whole head is without position."""
    nope, rope = config.size("qk_nope_head_dim"), config.size("qk_rope_head_dim")
    places = {} if turned else {"qk_nope_head_dim": nope + rope, "qk_rope_head_dim": 0, "rope": False}
    sizes = {"index_heads": config.size("index_n_heads"), "index_dim": config.size("index_head_dim")}
    chosen = {"index_topk": config.size("index_topk"), **(sizes if indexer else {})}
    learned: dict[str, Any] = {"index_input_norm": True, "index_position_scaled": True, "position_scaled": True}
    learned |= {"index_interleaved": True}  # by pairs of neighbours, as the attention around it
    learned |= {"latent_reused": reused, "latent_lent": lent, "norm_eps": config.number("rms_norm_eps") or 1e-6}
    return mla(config, rope_learned=max(1, rope // 2), **learned, **places, **chosen)


def glm5_next(config: Config) -> Architecture:
    """GLM-5.3: KDA layers, latent attention without positions to groups of tokens, streams that are mixed."""
    layers, width = config.size("num_hidden_layers"), config.size("hidden_size")
    config.ignore("router_aux_loss_coef head_dim qk_head_dim")
    if not config.flag("index_kpool_always_select_tail", True):
        config.add_unmodelled("tokens before the first whole group see nothing, which has no NumPy model")
    usual = ["indexed_attention" if index % 4 == 3 else "linear_attention" for index in range(layers)]
    words = {"full_attention": "indexed_attention"}
    kinds = [words.get(kind, kind) for kind in config.strings("layer_types", layers) or usual]
    indexed = [
        kind if part == "full" else f"shared_{kind}"
        for kind, part in zip(kinds, indexers_of(config, layers), strict=True)
    ]
    order = [kind.removeprefix("shared_") if "linear" in kind else kind for kind in indexed]
    limit = config.number("swiglu_limit")
    full = mla(
        config,
        rope=False,
        norm_eps=config.number("rms_norm_eps") or 1e-6,
        index_heads=config.size("index_n_heads"),
        index_dim=config.size("index_head_dim"),
        index_topk=config.size("index_topk"),
        index_compressed=config.size("index_kpool"),
    )
    mixers: dict[str, Layer] = {"linear_attention": _delta(config), "indexed_attention": full}
    mixers["shared_indexed_attention"] = replace(full, index_heads=None)
    feeds: dict[str, Layer] = {
        "dense": replace(gated_mlp(config), clamp=limit),
        # the class's routed experts keep to silu
        "sparse": replace(
            shared_experts(config, clamp=limit), activation="silu", shared_activation=config.activation()
        ),
    }
    hyper = HyperConnection(
        width,
        config.size("hc_mult"),
        iterations=config.size("hc_sinkhorn_iters"),
        eps=config.number("hc_eps", 1e-6) or 0.0,
        norm_eps=config.number("rms_norm_eps") or 1e-6,
    )
    norm = rmsnorm(config, width)
    runs = streamed(hyper, norm, mixers, feeds, zip(order, mlp_types(config, layers, min(3, layers)), strict=True))
    return causal_lm(config, runs, norm)


def _delta(config: Config) -> Kda:
    """KDA, in keys of its own or in the object that older configs have."""
    given = config.get("linear_attn_config")
    names = {
        "head_dim": "linear_head_dim",
        "num_heads": "linear_num_heads",
        "short_conv_kernel_size": "linear_conv_kernel_dim",
        "gate_lower_bound": "linear_lower_bound",
    }
    if isinstance(given, dict):
        for old, new in names.items():
            if old in given:
                config.override(new, given[old])
    head = config.size("linear_head_dim")
    return Kda(
        config.size("hidden_size"),
        config.size("linear_num_heads"),
        head,
        config.size("linear_conv_kernel_dim"),
        gate_rank=head,
        decay_bound=config.number("linear_lower_bound"),
        activation=config.activation(),
        norm_eps=config.number("rms_norm_eps") or 1e-6,
    )

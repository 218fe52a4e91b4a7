"""Mixture-of-experts decoders, most of them without shared experts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Run
from ....core.errors import short_repr
from ....core.layer import Layer
from ....layers import Attention, Head, Moe, Norm
from ..config import TOKENS, Config
from ..decoder import block
from ..rope import dynamic_alpha_fields, rope_fields
from ..rules import causal_lm, group_runs, hybrid_runs, prenorm_block, repeat_block, sublayer
from .llama_variants import attention_by_base, multipliers
from .minimax import SWIGLU_ALPHA
from .moe_shared_experts import SIGMOID
from .qwen import sparse_layers

SPARSE_MIXER = 2  # experts per token in SparseMixer [liu2023]
BEAM_STRETCH = 2048  # tokens: the unit of positions


def phimoe(config: Config) -> Architecture:
    """Phi-3.5-MoE: LayerNorm; optional biases in attention and the head."""
    norm = config.layernorm("rms_norm_eps")
    config.ignore("input_jitter_noise")  # used only in training
    attention = config.attention(window=config.sliding_window())
    # the class always selects two experts
    tolerance = config.number("router_jitter_noise", 0.0)
    feed = config.experts("num_local_experts", "intermediate_size", top_k_run=SPARSE_MIXER, mixer_tolerance=tolerance)
    if feed.top_k != SPARSE_MIXER:
        config.add_unmodelled(f"num_experts_per_tok must be {SPARSE_MIXER}, as in the class, not {feed.top_k}")
    tied = config.flag("tie_word_embeddings", True)
    head = Head(config.vocab, config.d_model, TOKENS if tied else None, bias=config.flag("lm_head_bias"))
    block = prenorm_block("block", norm, attention=attention, mlp=feed)
    return causal_lm(config, repeat_block(block, config.n_layers), norm, head=head)


def olmoe(config: Config) -> Architecture:
    """OLMoE [muennighoff2024]: norms over the whole width of queries and keys."""
    norm = config.rmsnorm()
    attention = config.attention(qk_norm="projection", clip=config.number("clip_qkv"))
    block = prenorm_block("block", norm, attention=attention, mlp=config.experts(width="intermediate_size"))
    return causal_lm(config, repeat_block(block, config.n_layers), norm)


def flex_olmo(config: Config) -> Architecture:
    """FlexOlmo: OLMoE with norms after attention and experts instead of before."""
    norm = config.rmsnorm()
    attention = sublayer("attention", config.attention(qk_norm="projection"), post=norm)
    block = Block("block", (attention, sublayer("mlp", config.experts(width="intermediate_size"), post=norm)))
    return causal_lm(config, repeat_block(block, config.n_layers), norm)


def hunyuan_v1_moe(config: Config) -> Architecture:
    """Hunyuan-Large and A13B: one shared expert as wide as the routed ones, a norm on each query and key head."""
    norm, width = config.rmsnorm(), config.size("intermediate_size")
    attention = config.attention(qk_norm="head", qk_norm_late=True, **dynamic_alpha_fields(config))
    feed = config.experts(width="intermediate_size", d_ff_shared=width)
    block = prenorm_block("block", norm, attention=attention, mlp=feed)
    return causal_lm(config, repeat_block(block, config.n_layers), norm)


def gpt_oss(config: Config) -> Architecture:
    """gpt-oss: attention sinks, biases everywhere, clamped SwiGLU, windows in every other layer."""
    norm = config.rmsnorm()
    config.ignore("hidden_act experts_per_token initial_context_length")
    config.unmodelled_unless("swiglu_alpha", SWIGLU_ALPHA)
    feed = Moe(
        config.d_model,
        config.size("intermediate_size"),
        config.size("num_local_experts"),
        config.size("num_experts_per_tok"),
        "quick_gelu",  # x · sigmoid(1.702 x), whatever hidden_act says
        clamp=config.number("swiglu_limit"),
        up_offset=1.0,
        expert_bias=True,
        router_bias=True,
        renormalise=True,
    )
    kinds = {
        name: prenorm_block(label, norm, attention=config.attention(sinks=True, window=span), mlp=feed)
        for name, label, span in (
            ("sliding_attention", "local", config.sliding_window()),
            ("full_attention", "global", None),
        )
    }
    pattern = ["full_attention" if index % 2 else "sliding_attention" for index in range(config.n_layers)]
    return causal_lm(config, group_runs(kinds[kind] for kind in config.layer_types(pattern)), norm)


def granitemoe(config: Config) -> Architecture:
    """Granite 3 MoE, with or without a shared expert."""
    return _granite(config, ["full_attention"] * config.n_layers)


def granitemoe_swa(config: Config) -> Architecture:
    """Granite MoE with attention sinks, and windows in three of four layers."""
    pattern = ["sliding_attention" if index % 4 else "full_attention" for index in range(config.n_layers)]
    return _granite(config, config.layer_types(pattern), sinks=True)


def _granite(config: Config, types: list[str], **changes: object) -> Architecture:
    norm, scaled = config.rmsnorm(), multipliers(config)
    shared = config.optional_size("shared_intermediate_size", zero_is_none=True)
    routed = config.experts("num_local_experts", "intermediate_size", d_ff_shared=shared, renormalise=True)
    mixers, order = attention_by_base(config, types, scale=config.number("attention_multiplier"), **changes)
    runs = hybrid_runs(
        norm, mixers, {"sparse": routed}, ((kind, "sparse") for kind in order), scale=scaled.pop("scale")
    )
    return causal_lm(config, runs, norm, **scaled)


def mellum(config: Config) -> Architecture:
    """Mellum 2: Qwen3-MoE with windows and dense layers as listed in the config."""
    layers = config.n_layers
    config.ignore("num_mtp_layers mtp_layer_types mtp_mlp_layer_types")  # the class never builds prediction modules
    attention, order = config.windowed_attention(["full_attention"] * layers, config.sliding_window(), qk_norm="head")
    feeds: dict[str, Layer] = {"sparse": config.experts(), "dense": config.gated_mlp()}
    norm = config.rmsnorm()
    runs = hybrid_runs(norm, attention, feeds, zip(order, config.mlp_types(dense=0), strict=True))
    return causal_lm(config, runs, norm)


def flint(config: Config) -> Architecture:
    """Flint: sinks, rotary positions only in layers with a window, a shared expert; the first layers are dense."""
    last = config.n_layers - 1
    pattern = [
        "full_attention" if index < 2 or index % 4 == 1 or index == last else "sliding_attention"
        for index in range(config.n_layers)
    ]
    attention, order = config.windowed_attention(pattern, config.sliding_window(), qk_norm="head", sinks=True)
    kinds = dict(attention)
    kinds["full_attention"] = config.attention(qk_norm="head", sinks=True, positions="none")
    feeds: dict[str, Layer] = {
        "sparse": config.experts(
            router="sigmoid", d_ff_shared=config.optional_size("shared_expert_intermediate_size", zero_is_none=True)
        ),
        "dense": config.gated_mlp(),
    }
    dense_first = config.get("mlp_only_layers") is None
    chosen = sparse_layers(config, config.n_layers) - ({0, 1} if dense_first else set())
    norm = config.rmsnorm()
    kind = ["sparse" if index in chosen else "dense" for index in range(config.n_layers)]
    return causal_lm(config, hybrid_runs(norm, kinds, feeds, zip(order, kind, strict=True)), norm)


def kolibri1(config: Config) -> Architecture:
    """Kolibri 1: norms before and after each sub-layer, a shared expert, one layer in five without a window."""
    limit = config.sliding_window()
    attention, order = config.windowed_attention(config.periodic_types(5, first=4), limit, bias=False, qk_norm="head")
    if "sliding_attention" in order and not limit:
        raise config.error("layers with a window require sliding_window")
    kinds = dict(attention)
    if limit:
        kinds["full_attention"] = config.attention(bias=False, qk_norm="head", positions="none")
    feed = config.experts(
        router="sigmoid",
        correction_bias="buffer",
        d_ff_shared=config.optional_size("shared_expert_intermediate_size", zero_is_none=True),
    )
    norm = config.rmsnorm()
    blocks = {kind: block(kind, norm, layer, feed, "sandwich") for kind, layer in kinds.items()}
    runs: tuple[Run, ...] = group_runs(blocks[kind] for kind in order)
    return causal_lm(config, runs, norm)


def dbrx(config: Config) -> Architecture:
    """DBRX [databricks2024]: LayerNorm without biases, clipped projections, all experts in one matrix."""
    width, heads = config.size("d_model"), config.size("n_heads")
    attend, feed = _nested(config, "attn_config"), _nested(config, "ffn_config")
    config.ignore("num_key_value_heads tie_word_embeddings")  # the class never ties embeddings
    attend.ignore("attn_pdrop rope_theta is_encoder_decoder")
    feed.ignore("is_encoder_decoder hidden_size moe_loss_weight moe_jitter_eps")
    power = feed.get(
        "moe_normalize_expert_weights", 1.0
    )  # order of the norm that gate values are divided by; None means no division
    norms: dict[str, Any] = {"renormalise": power is not None}
    norms |= {} if power is None else {"renormalise_power": feed.finite_number(power, "moe_normalize_expert_weights")}
    attention = Attention(
        width,
        heads,
        attend.size("kv_n_heads", 1),
        config.divide_by_heads(width, heads),
        clip=attend.number("clip_qkv"),
        positions="rope",
        **rope_fields(config),
        rope_theta=config.rope_theta(default=attend.number("rope_theta") or 10000.0),
    )
    act = feed.get("ffn_act_fn") or {"name": "silu"}
    if not isinstance(act, dict) or set(act) != {"name"}:
        raise config.error(f"ffn_act_fn must only have a name, not {short_repr(act)}")
    n_experts, top_k = feed.size("moe_num_experts", 4), feed.size("moe_top_k", 1)
    activation = config.activation_name(act["name"], "ffn_act_fn")
    routed = Moe(width, feed.size("ffn_hidden_size", 3584), n_experts, top_k, activation, **norms)
    for part in (attend, feed):
        part.check_all_read()
    norm = Norm(width, "layernorm")
    block = prenorm_block("block", norm, attention=attention, mlp=routed)
    return causal_lm(config, repeat_block(block, config.size("n_layers")), norm, tied=False)


def _nested(config: Config, key: str) -> Config:
    value = config.mapping(key)
    return config.nested(key, {name: entry for name, entry in value.items() if name != "model_type"}, "")


def beam(config: Config) -> Architecture:
    """Beam: norms around every sub-layer, depth-weighted residual sums, gated values with a bias per head."""
    layers, norm = config.n_layers, config.rmsnorm()
    gate: dict[str, Any] = {"gated": True, "gate_bias": "head", "qk_norm": "head"}
    spans = {"full_attention": None, "sliding_attention": config.sliding_window()}
    mixers = {kind: config.attention(window=spans[kind], **_beam_positions(config, kind), **gate) for kind in spans}
    pattern = [
        "full_attention" if index == layers - 1 or (index + 1) % 6 == 0 else "sliding_attention"
        for index in range(layers)
    ]
    groups: dict[str, Any] = {"n_groups": config.size("n_group", 1), "top_groups": config.size("topk_group", 1)}
    feeds: dict[str, Layer] = {
        "dense": config.gated_mlp(),
        "sparse": config.experts(group_score="two", **groups, **SIGMOID),
    }
    types, kinds = config.layer_types(pattern), config.mlp_types(min(3, layers))
    blocks = {
        (kind, feed): Block(
            f"{'global' if kind == 'full_attention' else 'local'}_{feed}",
            (
                replace(sublayer("attention", mixers[kind], pre=norm, post=norm), depth_scaled=True),
                replace(sublayer("mlp", feeds[feed], pre=norm, post=norm), depth_scaled=True),
            ),
        )
        for kind in mixers
        for feed in feeds
    }
    tied = config.flag("tie_word_embeddings", True)
    cap = config.number("final_logit_softcapping")
    head = Head(config.vocab, config.d_model, TOKENS if tied else None, softcap=cap)
    order = (blocks[kind] for kind in zip(types, kinds, strict=True))
    return causal_lm(config, group_runs(order), norm, head=head)


def _beam_positions(config: Config, kind: str) -> dict[str, Any]:
    """Fields for rotary positions, or for scaled queries in layer types without ``rope_parameters``."""
    given = config.get("rope_parameters")
    if given is None:
        given = {"full_attention": None}
    if not isinstance(given, dict):
        raise config.error(f"rope_parameters must be an object, not {short_repr(given)}")
    if given.get(kind, given) is not None:
        return {"layer_type": kind}
    return {"positions": "none", "temperature": 0.1, "temperature_law": "power", "temperature_length": BEAM_STRETCH}

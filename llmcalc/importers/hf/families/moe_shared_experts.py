"""Mixture-of-experts decoders with shared experts or initial dense layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Sublayer
from ....layers import Attention, Gate, Norm
from ....layers.parts.multipliers import Multipliers
from ..config import FULL, SIGMOID, Config, Fields, Layers
from ..rules import causal_lm, decoder, runs_by_type, runs_of, sublayer
from .deepseek import dense_first, shared_experts
from .minimax import types_from_flags

OTHER_ROUTERS = "not counted: the routers of image and sound tokens in each layer (multi_gate)"
_WINDOWED = (("sliding_attention", "dense"), ("sliding_attention", "sparse"))
_TRAINED: Fields = {"score": "sigmoid", "correction": "parameter"}  # a trained offset per expert


def cohere2_moe(config: Config) -> Architecture:
    """Read a Command A mixture-of-experts config. Attention and experts run in parallel after a single norm."""
    norm: Norm = config.layernorm(bias=False)
    if config.number("rms_norm_eps") is not None:
        norm = config.rmsnorm()
    dense, limit = config.count("first_k_dense_replace"), config.sliding_window()
    prefix, rest = config.size("prefix_dense_sliding_window_pattern", 1), config.size("sliding_window_pattern", 4)
    turned = {"interleaved": True} if prefix == 1 else None
    mixers = {
        ("full_attention", "dense"): config.attention(rope=turned),
        ("full_attention", "sparse"): config.attention(rope=None),
        **dict.fromkeys(_WINDOWED, config.attention(window=limit, rope={"interleaved": True})),
    }
    shared = config.shared_width(width="intermediate_size")
    scoring = config.string("expert_selection_fn", "softmax")
    routing: Fields = {"score": scoring, **({"renormalise": True} if scoring == "softmax" else {})}
    scale = 1.0
    if shared and config.string("shared_expert_combination_strategy", "average") == "average":
        routing["scale"] = scale = 1 / 2
    config.ignore("shared_expert_combination_strategy")
    routed = config.experts(width="intermediate_size", routing=routing, shared={"d_ff": shared, "scale": scale})
    key = "prefix_dense_intermediate_size" if config.get("prefix_dense_intermediate_size") else "intermediate_size"
    feeds: Layers = {"dense": config.gated_mlp(key=key), "sparse": routed}
    periods = [(index, prefix) for index in range(dense)] + [(index, rest) for index in range(config.n_layers - dense)]
    pattern = ["sliding_attention" if (index + 1) % period else "full_attention" for index, period in periods]
    kinds = zip(config.layer_types(pattern), config.mlp_types(dense), strict=True)

    def build(kind: tuple[str, str]) -> Block:
        branches = (Branch("attention", mixers[kind]), Branch("mlp", feeds[kind[1]]))
        name = f"{'global' if kind[0] == 'full_attention' else 'local'}_{kind[1]}"
        return Block(name, (Sublayer("parallel", branches, pre=norm),))

    head = config.lm_head(input_scale=config.number("logit_scale", 1.0))
    return causal_lm(config, runs_of(kinds, build), norm, head=head)


def bailing_moe(config: Config) -> Architecture:
    """Read a Ling or Ring config [ling2025] with softmax routing and a fused QKV projection."""
    if config.flag("norm_head"):
        config.add_unmodelled("the NumPy model does not support a head with normalised weight rows")
    config.unmodelled_unless("norm_softmax", neutral=False)
    routed = config.experts(shared={"d_ff": config.shared_width()})
    found = decoder(config, _bailing_attention(config), routed, feeds=dense_first(config))
    return replace(found, notes=(*found.notes, OTHER_ROUTERS)) if config.flag("multi_gate") else found


def bailing_moe_v2(config: Config) -> Architecture:
    """Read a Ling 2.0 or Ring 2.0 config [ling2025v2] with group-limited sigmoid routing and half-rotated heads."""
    config.one_of("score_function", "sigmoid")
    if not config.flag("use_rmsnorm", True) or not config.flag("moe_router_enable_expert_bias", True):
        raise config.error("LayerNorm and experts without a correction bias are not supported")
    config.ignore("num_nextn_predict_layers mtp_loss_scaling_factor rotary_dim")
    own = "moe_shared_expert_intermediate_size"
    shared = config.shared_width(width=own if config.optional_size(own) else "moe_intermediate_size")
    routed = config.experts(routing=SIGMOID, shared={"d_ff": shared}, expert_groups=config.expert_groups("two"))
    norm = "head" if config.flag("use_qk_norm") else "none"
    attention = _bailing_attention(config, qk_norm=norm, rope={"dim": config.rotary_width()})
    return decoder(config, attention, routed, feeds=dense_first(config))


def _bailing_attention(config: Config, **changes: Any) -> Attention:
    return config.attention(bias=config.flag("use_qkv_bias"), o_bias=config.flag("use_bias"), **changes)


def dots1(config: Config) -> Architecture:
    """Read a dots.llm1 config with DeepSeek-V3 experts, query and key norms, and optional windows in upper layers."""
    limit = config.sliding_window()
    mixers = config.local_global_attention(limit, qk_norm="head")
    return decoder(config, mixers, shared_experts(config), config.upper_windows(limit), dense_first(config))


def solar_open(config: Config) -> Architecture:
    """Read a Solar Open config with DeepSeek-V3 experts in every layer."""
    return decoder(config, config.attention(o_bias=False, rope={"dim": config.rotary_width()}), shared_experts(config))


def ernie4_5_moe(config: Config) -> Architecture:
    """Read an ERNIE 4.5 MoE config with a frozen correction bias. A single flag controls all other biases."""
    layers, bias = config.n_layers, config.flag("use_bias")
    shared = config.shared_width("moe_num_shared_experts")
    routed = config.experts(routing={"correction": "parameter"}, shared={"d_ff": shared, "bias": bias})
    config.ignore("moe_norm_min")  # lower bound of the sum of gate values, which never applies
    feeds: Layers = {"dense": config.gated_mlp(bias=bias), "sparse": routed}
    first, last = config.count("moe_layer_start_index"), config.get("moe_layer_end_index", -1)
    if type(last) is not int:
        raise config.invalid("moe_layer_end_index", "a layer number", last)
    end, period = layers - 1 if last == -1 else last, config.size("moe_layer_interval", 1)
    kinds = ["sparse" if first <= index <= end and (index + 1) % period == 0 else "dense" for index in range(layers)]
    attention = config.attention(bias=bias, rope={"interleaved": True})
    return decoder(config, attention, feeds, feeds=kinds, head=config.lm_head(bias=bias))


def ernie4_5_vl(config: Config) -> Architecture:
    """Read an ERNIE 4.5 VL config with text and image experts. The image experts are unused for text input."""
    bias = config.flag("use_bias")
    config.ignore("moe_norm_min moe_intermediate_size moe_layer_interval")
    widths = config.layer_indices("moe_intermediate_size") or [1536, 512]  # defaults of the class
    shared = widths[0] * config.count("moe_num_shared_experts")
    fields: Fields = {"width": "hidden_size", "routing": {"correction": "parameter"}}
    text = config.experts(d_ff=widths[0], shared={"d_ff": shared, "bias": bias}, **fields)
    vision = config.experts(d_ff=widths[1], unused=True, **fields)
    norm = config.rmsnorm()
    attention = sublayer("attention", config.attention(bias=bias, rope={"interleaved": True}), pre=norm)
    both = Sublayer("mlp", (Branch("text_moe", text), Branch("vision_moe", vision)), pre=norm)
    kinds = {
        "sparse": Block("sparse", (attention, both)),
        "dense": Block("dense", (attention, sublayer("mlp", config.gated_mlp(bias=bias), pre=norm))),
    }
    return causal_lm(config, runs_by_type(kinds, config.mlp_types(1)), norm)


def aria(config: Config) -> Architecture:
    """Read an Aria text config as LLaMA with experts. ``mlp_bias`` applies only to the shared expert."""
    top_k, shared = config.size("moe_topk"), config.size("moe_num_shared_experts") * config.size("intermediate_size")
    own = {"d_ff": shared, "bias": config.flag("mlp_bias"), "activation": config.activation()}
    fields: Fields = {"routing": {"renormalise": True}, "shared": own, "top_k": top_k, "activation": "silu"}
    return decoder(config, mlp=config.experts("moe_num_experts", "intermediate_size", **fields))


def hy_v3(config: Config) -> Architecture:
    """Read a Hunyuan 3 config with query and key norms, sigmoid routing and a dense first layer."""
    config.ignore("enable_moe_fp32_combine")
    routing = {**SIGMOID, "scale": config.number("router_scaling_factor", 1.0)}
    routed = config.experts(routing=routing, shared={"d_ff": config.shared_width(), "bias": config.flag("mlp_bias")})
    return decoder(config, config.attention(qk_norm="head"), routed, feeds=config.mlp_types(1))


def exaone_moe(config: Config) -> Architecture:
    """Read an EXAONE-MoE config with sigmoid routing. Only windowed layers have rotary positions."""
    limit = config.sliding_window()
    shared = {"d_ff": config.shared_width()}
    routed = config.experts(routing=SIGMOID, shared=shared, expert_groups=config.expert_groups())
    mixers = config.local_global_attention(limit, unplaced=FULL if limit else (), qk_norm="head")
    kinds = config.mlp_types(config.count("first_k_dense_replace", 1))
    if config.get("layer_types") is None and config.get("sliding_window_pattern") is None:
        raise config.error("layer_types is missing and cannot be derived without sliding_window_pattern")
    return decoder(config, mixers, routed, config.layer_types(exaone_pattern(config, config.n_layers, limit)), kinds)


def exaone_pattern(config: Config, layers: int, limit: int | None) -> list[str]:
    """Return the type of each layer. ``sliding_window_pattern`` is the interval between full layers or a string of
    ``L`` (window) and ``G`` (full). The last layer always uses full attention.
    """
    pattern = config.get("sliding_window_pattern")
    if not limit:
        return ["full_attention"] * layers
    if isinstance(pattern, str) and pattern:
        local = [pattern[index % len(pattern)] == "L" for index in range(layers)]
    elif type(pattern) is int and pattern > 0:
        local = [(index + 1) % pattern != 0 for index in range(layers)]
    else:
        local = [False] * layers
    return ["sliding_attention" if at and index < layers - 1 else "full_attention" for index, at in enumerate(local)]


def mimo_v2_flash(config: Config) -> Architecture:
    """Read a MiMo-V2-Flash config. Windowed layers have attention sinks and twice as many key/value heads."""
    layers, pairs = config.n_layers, config.size("num_key_value_heads")
    config.ignore("first_k_dense_replace n_shared_experts use_qk_norm")
    factor = config.number("attention_value_scale", 1.0)
    config.ignore("attention_chunk_size layernorm_epsilon add_swa_attention_sink_bias add_full_attention_sink_bias")
    value = Multipliers(value=1.0 if factor is None else factor)
    fields: Fields = {"o_bias": False, "d_head_v": config.size("v_head_dim"), "multipliers": value}
    kinds = ("full_attention", "sliding_attention")
    ropes: dict[str, Fields] = {kind: {"dim": config.rotary_width(0.334, kind)} for kind in kinds}
    span = config.sliding_window()
    beyond = config.optional_size("sliding_window_size")  # in published configs, the number of tokens before the query
    _check_derived_sizes(config, pairs)
    base = {"theta": config.positive_number("swa_rope_theta")} if config.get("swa_rope_theta") else {}
    windowed: Fields = {"n_kv_heads": 2 * pairs, "sinks": True, "window": beyond + 1 if beyond else span}
    own = {"full_attention": fields, "sliding_attention": {**fields, **windowed}}
    ropes["sliding_attention"] |= base
    mixers: Layers = {kind: config.attention(layer_type=kind, rope=ropes[kind], **own[kind]) for kind in kinds}
    full = {index for index in range(layers) if index == 0 or (index + 1) % 6 == 0}
    pattern = ["full_attention" if index in full else "sliding_attention" for index in range(layers)]
    pattern = types_from_flags(config, config.get("hybrid_layer_pattern"), layers, *kinds) or pattern
    usual = ["dense", *["sparse"] * (layers - 1)]
    feeds = types_from_flags(config, config.get("moe_layer_freq"), layers, "dense", "sparse") or usual
    feeds = config.types_like("mlp_layer_types", feeds, "moe_layer_freq")
    routed = shared_experts(config, shared={"d_ff": None})
    return decoder(config, mixers, routed, config.types_like("layer_types", pattern, "hybrid_layer_pattern"), feeds)


def _check_derived_sizes(config: Config, pairs: int) -> None:
    """Check the config's windowed layer sizes against the sizes that the transformers class derives."""
    derived = {"swa_num_attention_heads": config.n_heads, "swa_num_key_value_heads": 2 * pairs}
    derived |= {f"swa_{key}": config.size(key) for key in ("head_dim", "v_head_dim")}
    for key, size in derived.items():
        if (config.optional_size(key) or size) != size:
            raise config.size_error(f"the model class sets {key} to {size}, but the config has {config.get(key)}")


def laguna(config: Config) -> Architecture:
    """Read a Laguna config with softplus output gates, per-layer head counts and a trained correction bias."""
    layers, gating = config.n_layers, config.get("gating", True)
    scale = config.number("moe_routed_scaling_factor", 1.0)
    routing = {"softcap": config.number("moe_router_logit_softcapping") or None, "renormalise": True, "scale": scale}
    config.unmodelled_unless("moe_apply_router_weight_on_input", False)
    gate: Fields = {"gate": Gate(gating is True or gating == "per-head", "none", "softplus")}
    shared = config.optional_size("shared_expert_intermediate_size", zero_is_none=True)
    routed = config.experts(routing={**_TRAINED, **routing}, shared={"d_ff": shared})
    counts = config.layer_indices("num_attention_heads_per_layer") or [config.n_heads] * layers
    types = config.layer_types(["full_attention"] * layers)
    spans = {"full_attention": None, "sliding_attention": config.sliding_window()}
    mixers: Layers = {}
    for kind, heads in dict.fromkeys(zip(types, counts, strict=True)):
        if kind in spans:
            own: Fields = {"n_heads": heads, "window": spans[kind], "rope": {"dim": config.rotary_width(1.0, kind)}}
            mixers[f"{kind}_{heads}"] = config.attention(layer_type=kind, qk_norm="head", **own, **gate)
    names = [f"{kind}_{heads}" for kind, heads in zip(types, counts, strict=True)]
    return decoder(config, mixers, routed, names, config.mlp_types(1))


def afmoe(config: Config) -> Architecture:
    """Read a Trinity config with sandwich norms, gated attention, and rotary positions only in windowed layers."""
    routing = {**_TRAINED, "scale": config.number("route_scale", 1.0), "renormalise": True}
    root = config.d_model**0.5 if config.flag("mup_enabled") else 1.0
    gate: Fields = {"gate": Gate(bias="none"), "qk_norm": "head"}
    mixers = config.local_global_attention(config.sliding_window(), unplaced=FULL, **gate)
    routed = config.experts(routing=routing, shared={"d_ff": config.shared_width()})
    if config.get("layer_types") is None and config.get("global_attn_every_n_layers") is None:
        raise config.error("layer_types is missing and cannot be derived without global_attn_every_n_layers")
    pattern = config.every_nth("global_attn_every_n_layers", "full_attention", "sliding_attention", 4)
    dense, layers = config.count("num_dense_layers", 1), range(config.n_layers)
    kinds = ["sparse" if index >= dense else "dense" for index in layers]
    return decoder(config, mixers, routed, config.layer_types(pattern), kinds, place="sandwich", embedding_scale=root)

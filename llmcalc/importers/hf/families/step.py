"""Step 3.5 and 3.7: heads by kind of layer, experts, and bounds on the gates of some layers."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....core.errors import SizeError, shown
from ....core.layer import Layer
from ..config import Config
from ..rules import (
    causal_lm,
    experts,
    gated_mlp,
    hybrid_runs,
    layer_types,
    mlp_types,
    rmsnorm,
    rope_attention,
    rotary_width,
    sliding_window,
)


def step3p5(config: Config) -> Architecture:
    """Step 3.5 and 3.7: windows with heads of their own number, a gate on each head, experts beside a shared one."""
    layers, norm = config.size("num_hidden_layers"), rmsnorm(config, config.size("hidden_size"), unit_offset=True)
    config.ignore("query_pre_attn_scalar mtp_layer_types mtp_mlp_layer_types")
    config.ignore("per_layer_config partial_rotary_factors attention_other_setting num_nextn_predict_layers")
    types = layer_types(config, layers, ["full_attention"] * layers)
    heads = config.size("num_attention_heads")
    kinds = {
        "full_attention": (heads, None),
        "sliding_attention": (config.optional_size("num_sliding_attention_heads") or heads, sliding_window(config)),
    }
    mixers: dict[str, Layer] = {
        kind: rope_attention(
            config,
            layer_type=kind,
            n_heads=count,
            window=span,
            qk_norm="head",
            qk_norm_unit_offset=True,
            rotary_dim=rotary_width(config, 1.0, kind),
            gated=True,
            gate_per_head=True,
            gate_bias="none",
        )
        for kind, (count, span) in kinds.items()
    }
    bias, scale = config.flag("mlp_bias"), config.number("moe_router_scaling_factor", 1.0)
    routed = experts(
        config,
        "n_routed_experts",
        clamp_late=True,
        shared_clamped=False,
        d_ff_shared=config.size("share_expert_dim"),
        shared_bias=bias,
        router="sigmoid",
        correction_bias="buffer",
        renormalise=True,
        routed_scale=scale,
    )
    dense = replace(gated_mlp(config, bias=bias), clamp_late=True)
    bounds = zip(_limits(config, "swiglu_limits", layers), _limits(config, "swiglu_limits_shared", layers), strict=True)
    feeds: dict[str, Layer] = {}
    order = []
    for kind, feed, (own, shared) in zip(types, _sparse_or_dense(config, layers), bounds, strict=True):
        bounds_of = (own, shared) if feed == "sparse" else (shared,)
        name = "_".join([feed, *(f"{bound or 0:g}" for bound in bounds_of if any(bounds_of))])
        if feed == "sparse":
            feeds[name] = replace(routed, clamp=own, shared_clamp=shared)
        else:
            feeds[name] = replace(dense, clamp=shared)
        order.append((kind, name))
    return causal_lm(config, hybrid_runs(norm, mixers, feeds, order), norm)


def _limits(config: Config, key: str, layers: int) -> list[float | None]:
    """The bound on the gates of each layer; 0 or nothing: there is none."""
    given = config.get(key) or [0] * layers
    if not isinstance(given, list) or len(given) < layers:
        raise SizeError(f"{key} is {shown(given)}; it has a number for each of {layers} layers", where=config.where)
    return [config.finite_number(bound, key) or None for bound in given[:layers]]


STEP_DENSE = 3  # layers without experts, where nothing names the others


def _sparse_or_dense(config: Config, layers: int) -> list[str]:
    """The kinds of feed-forward layers, which older files name by the numbers of those with experts, as one text."""
    named = config.get("moe_layers_enum")
    if not isinstance(named, str):
        return mlp_types(config, layers, STEP_DENSE)
    numbers = {int(number) for number in named.split(",")}
    if not numbers <= set(range(layers)):
        raise SizeError(f"moe_layers_enum is {shown(named)}; the layers are 0 to {layers - 1}", where=config.where)
    return ["sparse" if index in numbers else "dense" for index in range(layers)]

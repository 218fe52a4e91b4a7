"""Decoders whose layers differ in width, head count or experts: OpenELM, Step 3.5 and Step 3.7."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture
from ....core.errors import short_repr
from ....layers import Attention, Bounds, Gate, Mlp, Rope, SharedExperts
from ....layers.parts.qk_norm import QkNorm
from ..config import SIGMOID, Config, Fields, Layers
from ..rules import causal_lm, decoder, prenorm_block, runs_of

STEP_DENSE = 3  # default number of layers without experts


def openelm(config: Config) -> Architecture:
    """Read an OpenELM config [mehta2024]. Head counts and MLP widths grow with depth."""
    config.one_of("normalization_layer_name", "rms_norm")
    config.check_flags(ffn_with_glu=True)
    config.ignore("qkv_multipliers num_gqa_groups rope_max_length")
    queries, keys = (
        [config.integer(heads, key, 1) for heads in config.per_layer(key)]
        for key in ("num_query_heads", "num_kv_heads")
    )
    norm, shapes = config.rmsnorm(), [*zip(queries, keys, _mlp_widths(config), strict=True)]
    runs = runs_of(shapes, lambda shape: _openelm_block(config, f"block{shapes.index(shape)}", norm, *shape))
    return causal_lm(config, runs, norm, tied=config.flag("share_input_output_layers", True))


def _mlp_widths(config: Config) -> list[int]:
    """Return the MLP width of each layer, rounded to a multiple of ``ffn_dim_divisor``."""
    step, found = config.size("ffn_dim_divisor"), []
    for factor in config.per_layer("ffn_multipliers"):
        wanted = config.finite_number(factor, "ffn_multipliers") * config.d_model
        near = max(step, int(wanted + step / 2) // step * step)
        found.append(config.integer(near + step * (near < 0.9 * wanted), f"ffn_multipliers ({short_repr(factor)})", 1))
    return found


def _openelm_block(config: Config, name: str, norm: Any, queries: int, keys: int, hidden: int) -> Any:
    qk_norm = QkNorm(eps=norm.eps) if config.flag("normalize_qk_projections") else None
    rope = Rope(config.number("rope_freq_constant") or 10000.0)
    attention = Attention(config.d_model, queries, keys, config.size("head_dim"), qk_norm=qk_norm, rope=rope)
    mlp = Mlp(config.d_model, hidden, config.activation("activation_fn_name"), gated=True)
    return prenorm_block(name, norm, attention=attention, mlp=mlp)


def step3p5(config: Config) -> Architecture:
    """Read a Step 3.5 or 3.7 config with per-head gates. Windowed layers may have a different head count."""
    layers = config.n_layers
    config.ignore("mtp_layer_types mtp_mlp_layer_types")
    config.ignore("partial_rotary_factors attention_other_setting num_nextn_predict_layers")
    types = config.layer_types(["full_attention"] * layers)
    fields: Fields = {"qk_norm": {"unit_offset": True}, "gate": Gate(per_head=True, bias="none")}
    heads = _sliding_heads(config, types)
    spans = {"full_attention": (config.n_heads, None), "sliding_attention": (heads, config.sliding_window())}
    mixers: Layers = {}
    for kind, (count, span) in spans.items():
        rope = {"dim": config.rotary_width(1.0, kind)}
        mixers[kind] = config.attention(layer_type=kind, n_heads=count, window=span, rope=rope, **fields)
    bias, scale = config.flag("mlp_bias"), config.number("moe_router_scaling_factor", 1.0)
    own: Fields = {"d_ff": config.size("share_expert_dim"), "bias": bias, "clamped": False}
    routed = config.experts("n_routed_experts", routing={**SIGMOID, "renormalise": True, "scale": scale}, shared=own)
    dense = config.gated_mlp(bias=bias)
    limits = (config.per_layer(key, [0] * layers) for key in ("swiglu_limits", "swiglu_limits_shared"))
    bounds = zip(*([limit or None for limit in each] for each in limits), strict=True)
    feeds: Layers = {}
    kinds = []
    for feed, (routed_bound, bound) in zip(_sparse_or_dense(config, layers), bounds, strict=True):
        bounds_of = (routed_bound, bound) if feed == "sparse" else (bound,)
        name = "_".join([feed, *(f"{one or 0:g}" for one in bounds_of if any(bounds_of))])
        if feed == "sparse":
            bounds_of_experts, shared = Bounds(routed_bound, clamp_late=True), SharedExperts(**own, clamp=bound)
            feeds[name] = replace(routed, bounds=bounds_of_experts, shared=shared)
        else:
            feeds[name] = replace(dense, bounds=Bounds(bound, clamp_late=True))
        kinds.append(name)
    return decoder(config, mixers, feeds, types, kinds, norm=config.rmsnorm(unit_offset=True))


def _sliding_heads(config: Config, types: list[str]) -> int:
    """Return the number of heads in windowed layers. ``per_layer_config`` must state one number for all of them."""
    usual, key = config.optional_size("num_sliding_attention_heads") or config.n_heads, "num_attention_heads"
    layers = config.layer_overrides(len(types), key)
    if layers is None:
        return usual
    counts = [config.integer(layers.get(index, {}).get(key, config.n_heads), key, 1) for index in range(len(types))]
    windowed, others = (
        {count for kind, count in zip(types, counts, strict=True) if kind == name}
        for name in ("sliding_attention", "full_attention")
    )
    if len(windowed) > 1 or others - {config.n_heads}:
        raise config.size_error(f"{key} in per_layer_config must be the same in all layers with a window")
    return windowed.pop() if windowed else usual


def _sparse_or_dense(config: Config, layers: int) -> list[str]:
    """Return ``sparse`` or ``dense`` for each layer. Older configs list the sparse layers in a string."""
    named = config.get("moe_layers_enum")
    if not isinstance(named, str):
        return config.mlp_types(STEP_DENSE)
    numbers = {int(number) for number in named.split(",")}
    if not numbers <= set(range(layers)):
        raise config.size_error(f"moe_layers_enum must list layers from 0 to {layers - 1}, not {short_repr(named)}")
    return ["sparse" if index in numbers else "dense" for index in range(layers)]

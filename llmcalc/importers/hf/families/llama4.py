"""Llama 4: chunked attention with positions, full attention without, experts beside a shared one."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture
from ....core.errors import SizeError
from ....core.layer import Layer
from ..config import Config
from ..rules import causal_lm, experts, gated_mlp, hybrid_runs, layer_types, rmsnorm, rope_attention

_ROUTING: dict[str, Any] = {"router": "sigmoid", "renormalise": False, "scaled_input": True}


def llama4(config: Config) -> Architecture:
    """Llama 4 [meta2025llama4]; the class runs every expert on every token."""
    layers, norm = config.size("num_hidden_layers"), rmsnorm(config, config.size("hidden_size"))
    config.ignore("moe router_aux_loss_coef for_llm_compressor")
    chunk, rotated = config.optional_size("attention_chunk_size"), _rotated(config, layers)
    pattern = ["chunked_attention" if turned and chunk else "full_attention" for turned in rotated]
    types = layer_types(config, layers, pattern)
    n_experts, width = config.size("num_local_experts"), config.size("intermediate_size")
    routed = experts(
        config, "num_local_experts", "intermediate_size", d_ff_shared=width, top_k_run=n_experts, **_ROUTING
    )
    feeds: dict[str, Layer] = {"sparse": routed, "dense": gated_mlp(config, key="intermediate_size_mlp")}
    mixers = {
        _name(kind, turned): _attention(config, chunk if kind == "chunked_attention" else None, turned)
        for kind, turned in dict.fromkeys(zip(types, rotated, strict=True))
        if kind in ("chunked_attention", "full_attention")
    }
    sparse = _sparse_layers(config, layers)
    order = (
        (_name(kind, turned), "sparse" if index in sparse else "dense")
        for index, (kind, turned) in enumerate(zip(types, rotated, strict=True))
    )
    return causal_lm(config, hybrid_runs(norm, mixers, feeds, order), norm)


def _name(kind: str, rotated: bool) -> str:
    return kind if rotated == (kind == "chunked_attention") else f"{kind}_{'rope' if rotated else 'nope'}"


def _attention(config: Config, chunk: int | None, rotated: bool) -> Layer:
    """A rotated layer may have a norm without weights on each query and key head."""
    fields: dict[str, Any] = {"chunk": chunk, "positions": "rope" if rotated else "none", "rope_interleaved": True}
    if rotated and config.flag("use_qk_norm"):
        fields |= {"qk_norm": "head", "qk_norm_scale": False, "qk_norm_late": True}
    if not rotated and _tuned(config):
        fields |= {"temperature": config.number("attn_scale"), "temperature_length": config.size("floor_scale")}
    config.ignore("attn_temperature_tuning attn_scale floor_scale")
    return rope_attention(config, **fields)


def _tuned(config: Config) -> bool:
    """A flag, which published configs give as the number 4."""
    value = config.get("attn_temperature_tuning", True)
    if type(value) is int:
        return config.integer(value, "attn_temperature_tuning", 0) > 0
    return config.flag("attn_temperature_tuning", True)


def _rotated(config: Config, layers: int) -> list[bool]:
    period, given = config.size("no_rope_layer_interval", 4), config.get("no_rope_layers")
    if not given:
        return [(index + 1) % period != 0 for index in range(layers)]
    flags = config.layer_indices("no_rope_layers")
    if len(flags) != layers:
        raise SizeError(f"no_rope_layers has {len(flags)} entries for {layers} layers", where=config.where)
    return [bool(flag) for flag in flags]


def _sparse_layers(config: Config, layers: int) -> set[int]:
    step = config.size("interleave_moe_layer_step", 1)
    given = config.get("moe_layers")
    return set(config.layer_indices("moe_layers") if given is not None else range(step - 1, layers, step))

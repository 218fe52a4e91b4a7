"""Rotary position settings from ``rope_parameters``, or from ``rope_theta`` and ``rope_scaling`` in older configs."""

from __future__ import annotations

import math
from typing import Any

from .config_keys import ConfigKeys

_KINDS = {"default": "none"} | {
    kind: kind for kind in ("linear", "dynamic", "llama3", "yarn", "longrope", "proportional")
}
_KINDS["su"] = "longrope"  # name used in the first Phi-3 configs
_FIELDS = {
    "low_freq_factor": "rope_low_factor",
    "high_freq_factor": "rope_high_factor",
    "beta_fast": "rope_fast",
    "beta_slow": "rope_slow",
}


def scaling_parameters(config: ConfigKeys, layer_type: str | None = None) -> dict[str, Any]:
    """Return the RoPE scaling parameters of a config, preferring the entries for ``layer_type``."""
    found: dict[str, Any] = {}
    for key in ("rope_scaling", "rope_parameters"):
        given = config.get(key)
        if isinstance(given, dict) and layer_type and isinstance(given.get(layer_type), dict):
            given = given[layer_type]
        found |= given if isinstance(given, dict) else {}
    return found


def rope_fields(config: ConfigKeys, layer_type: str | None = None) -> dict[str, Any]:
    """Return the layer fields for RoPE scaling."""
    given = scaling_parameters(config, layer_type)
    kind = _KINDS.get(str(given.get("rope_type") or given.get("type") or "default"), "other")
    if kind == "none":
        return {}
    longest = config.get("max_position_embeddings")
    original = config.get("original_max_position_embeddings") or given.get("original_max_position_embeddings")
    length = longest if kind == "dynamic" else original or longest
    factor = given.get("factor") or (longest / original if kind == "yarn" and longest and original else 1.0)
    fields: dict[str, Any] = {
        "rope_scaling": kind,
        "rope_factor": config.finite_number(factor, "factor"),
        "rope_length": length,
    }
    fields |= {field: config.finite_number(given[key], key) for key, field in _FIELDS.items() if given.get(key)}
    if kind == "longrope":
        fields |= _of_pairs(config, given, longest)
    if kind == "yarn":
        fields |= {"rope_truncate": bool(given.get("truncate", True)), "rope_attention": _attention(given, factor)}
    return fields


def _of_pairs(config: ConfigKeys, given: dict[str, Any], longest: Any) -> dict[str, Any]:
    """Return the LongRoPE fields [ding2024], including one factor per frequency and one for sines and cosines."""
    original = (
        config.get("original_max_position_embeddings") or given.get("original_max_position_embeddings") or longest
    )
    trained = config.integer(original, "original_max_position_embeddings", 2)
    lists = []
    for key in ("short_factor", "long_factor"):
        values = given.get(key)
        if not isinstance(values, list):
            raise config.invalid(key, "a list of numbers", values)
        lists.append(" ".join(str(config.finite_number(value, key)) for value in values))
    factor = config.finite_number(given.get("factor") or longest / trained, "factor")
    usual = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    attention, short, long = (given.get(key) for key in ("attention_factor", "short_mscale", "long_mscale"))
    if short != long:
        config.add_unmodelled("the rotary scaling factor (mscale) differs between short and long contexts")
    attention = attention if short is None else short
    return {
        "rope_length": trained,
        "rope_factor": factor,
        "rope_attention": usual if attention is None else config.finite_number(attention, "attention_factor"),
        "rope_factors": " | ".join(lists),
    }


_TWO_BASES = {"full_attention": ("rope_theta", 1_000_000.0), "sliding_attention": ("rope_local_base_freq", 10_000.0)}


def local_global_theta(config: ConfigKeys, layer_type: str) -> float:
    """Return the rotary base of a layer type from current or older Gemma 3 config keys."""
    parameters = config.get("rope_parameters")
    own = parameters.get(layer_type) if isinstance(parameters, dict) else None
    if isinstance(own, dict) and own.get("rope_theta") is not None:
        return config.finite_number(own["rope_theta"], "rope_theta")
    key, usual = _TWO_BASES[layer_type]
    return config.number(key, usual) or usual


def dynamic_alpha_fields(config: ConfigKeys) -> dict[str, Any]:
    """Return fields for Hunyuan's ``dynamic`` scaling, in which a fixed ``alpha`` increases the rotary base."""
    given = scaling_parameters(config)
    alpha = given.get("alpha")
    if not alpha or (given.get("rope_type") or given.get("type")) != "dynamic":
        return {}
    width = config.size("head_dim")
    theta = config.rope_theta() * config.finite_number(alpha, "alpha") ** (width / (width - 2))
    return {"rope_theta": theta, "rope_scaling": "none", "rope_factor": 1.0, "rope_length": None}


def query_temperature(config: ConfigKeys) -> dict[str, Any]:
    """Return attention fields for scaling queries in contexts longer than the original length."""
    given = scaling_parameters(config)
    factor = given.get("llama_4_scaling_beta")
    if not factor:
        return {}
    length = given.get("original_max_position_embeddings")
    if length is None:
        raise config.error("llama_4_scaling_beta requires original_max_position_embeddings")
    return {
        "temperature": config.finite_number(factor, "llama_4_scaling_beta"),
        "temperature_length": config.integer(length, "original_max_position_embeddings", 1),
        "temperature_start": 0,
    }


def _attention(given: dict[str, Any], factor: float) -> float:
    """Return YaRN's scaling factor for sines and cosines [peng2023yarn, Section 3.4]."""
    if given.get("attention_factor"):
        return float(given["attention_factor"])
    if given.get("mscale") and given.get("mscale_all_dim"):
        return yarn_attention_factor(factor, given["mscale"]) / yarn_attention_factor(factor, given["mscale_all_dim"])
    return yarn_attention_factor(factor)


def yarn_attention_factor(factor: float, weight: float = 1.0) -> float:
    """Return YaRN's attention factor for a context extension by ``factor``."""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

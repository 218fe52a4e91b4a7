"""Rotary position settings from ``rope_parameters``, or from ``rope_theta`` and ``rope_scaling`` in older configs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...core.record import fields
from ...layers.parts.rope import Dynamic, Linear, Llama3, LongRope, Other, Proportional, Scaling, Yarn
from ...layers.parts.temperature import Temperature
from .config_keys import ConfigKeys

_METHODS: dict[str, type[Linear | Dynamic | Llama3 | Yarn | LongRope | Proportional]] = {
    method.kind(): method for method in (Linear, Dynamic, Llama3, Yarn, LongRope, Proportional)
}
SCALING_KEYS = ("rope_scaling", "rope_parameters")  # of transformers 4 and 5
_ORIGINAL = "original_max_position_embeddings"
_METHODS["su"] = LongRope  # name used in the first Phi-3 configs
_FIELDS = {"low_freq_factor": "low_factor", "high_freq_factor": "high_factor", "beta_fast": "fast", "beta_slow": "slow"}


def scaling_parameters(config: ConfigKeys, layer_type: str | None = None) -> dict[str, Any]:
    """Return the RoPE scaling parameters of a config, preferring the entries for ``layer_type``."""
    found: dict[str, Any] = {}
    for key in SCALING_KEYS:
        given = config.get(key)
        if isinstance(given, dict) and layer_type and isinstance(given.get(layer_type), dict):
            given = given[layer_type]
        found |= given if isinstance(given, dict) else {}
    return found


def stated_scaling(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the method of scaling of a config as ``type``, ``factor`` and ``original`` positions, or nothing.

    With LongRoPE, ``short`` is the length up to which the factors of short contexts apply, if the config states it
    beside the method.

    >>> stated_scaling({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}})
    {'type': 'yarn', 'factor': 4.0}
    """
    given: Mapping[str, Any] = next((config[key] for key in SCALING_KEYS if isinstance(config.get(key), dict)), {})
    nested = [value for value in given.values() if isinstance(value, dict)]  # a method for each type of layer
    for each in (given, *nested):
        factor, original = each.get("factor"), each.get(_ORIGINAL) or config.get(_ORIGINAL)
        name, short = str(each.get("rope_type") or each.get("type") or "default"), config.get(_ORIGINAL)
        found: dict[str, Any] = {"original": original} if type(original) is int and original > 0 else {}
        if _METHODS.get(name) is LongRope and type(short) is int and short > 0:
            return {"type": name, "factor": 1.0, **found, "short": short}
        if isinstance(factor, (int, float)) and type(factor) is not bool and 0 < factor < 1e6:
            return {"type": name, "factor": float(factor), **found}
    return {}


def rope_scaling(config: ConfigKeys, layer_type: str | None = None) -> Scaling | None:
    """Return the context extension method of a config."""
    given = scaling_parameters(config, layer_type)
    name = str(given.get("rope_type") or given.get("type") or "default")
    if name == "default":
        return None
    method = _METHODS.get(name, Other)
    longest = config.get("max_position_embeddings")
    original = config.get(_ORIGINAL) or given.get(_ORIGINAL)
    factor = given.get("factor") or (longest / original if method is Yarn and longest and original else 1.0)
    found: dict[str, Any] = {
        field: config.finite_number(given[key], key) for key, field in _FIELDS.items() if given.get(key)
    }
    found |= {"factor": config.finite_number(factor, "factor"), "length": original or longest}
    if method is Dynamic:
        found["length"] = longest
    if method is LongRope:
        found |= _of_pairs(config, given, longest)
    if method is Yarn:
        found |= {"truncate": bool(given.get("truncate", True)), "attention": _attention(given, factor)}
    known = {entry.name for entry in fields(method)}
    return method(**{field: value for field, value in found.items() if field in known})


def _of_pairs(config: ConfigKeys, given: dict[str, Any], longest: Any) -> dict[str, Any]:
    """Return the LongRoPE fields [ding2024], such as the frequency factors and the factor for sines and cosines."""
    trained = config.integer(config.get(_ORIGINAL) or given.get(_ORIGINAL) or longest, _ORIGINAL, 2)
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
    scaled = usual if attention is None else config.finite_number(attention, "attention_factor")
    return {"length": trained, "factor": factor, "attention": scaled, "factors": " | ".join(lists)}


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
    """Return rotary position fields for Hunyuan's ``dynamic`` scaling, in which ``alpha`` increases the base."""
    given = scaling_parameters(config)
    alpha = given.get("alpha")
    if not alpha or (given.get("rope_type") or given.get("type")) != "dynamic":
        return {}
    width = config.size("head_dim")
    theta = config.rope_theta() * config.finite_number(alpha, "alpha") ** (width / (width - 2))
    return {"theta": theta, "scaling": None}


def query_temperature(config: ConfigKeys) -> dict[str, Any]:
    """Return attention fields that scale queries at positions after the original context length."""
    given = scaling_parameters(config)
    factor = given.get("llama_4_scaling_beta")
    if not factor:
        return {}
    if given.get(_ORIGINAL) is None:
        raise config.error(f"llama_4_scaling_beta requires {_ORIGINAL}")
    rate = config.finite_number(factor, "llama_4_scaling_beta")
    length = config.integer(given[_ORIGINAL], _ORIGINAL, 1)
    return {"temperature": Temperature(rate, length=length, start=0) if rate else None}


def _attention(given: dict[str, Any], factor: float) -> float:
    """Return YaRN's scaling factor for sines and cosines [peng2023yarn, Section 3.4]."""
    if given.get("attention_factor"):
        return float(given["attention_factor"])
    if given.get("mscale") and given.get("mscale_all_dim"):
        return yarn_attention_factor(factor, given["mscale"]) / yarn_attention_factor(factor, given["mscale_all_dim"])
    return yarn_attention_factor(factor)


def yarn_attention_factor(factor: float, weight: float = 1.0) -> float:
    """Return YaRN's attention factor for a context that is extended by ``factor``."""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

"""dots.note: latent attention with an indexer, and with a window and sizes of its own in three of four layers."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture
from ....core.errors import DescriptionError, SizeError, UnknownNameError, shown
from ....core.layer import Layer
from ....layers.mla import Mla
from ..config import Config
from ..rope import rope_fields
from ..rules import causal_lm, gated_mlp, hybrid_runs, rmsnorm, sliding_window
from .deepseek import mla, shared_experts
from .dsa import indexed

# keys of a layer's own config, and the fields of latent attention that they give
_FIELDS = {
    "num_attention_heads": "n_heads",
    "q_lora_rank": "q_lora_rank",
    "kv_lora_rank": "kv_lora_rank",
    "qk_nope_head_dim": "qk_nope_head_dim",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "v_head_dim": "v_head_dim",
}
_WITHOUT_EFFECT = {"num_key_value_heads", "head_dim"}
# sizes of the layers with a window, where the config gives none
_WINDOWED = {"num_attention_heads": 64, "q_lora_rank": 1024, "kv_lora_rank": 1024, "v_head_dim": 128}
_WINDOWED |= {"qk_nope_head_dim": 192, "head_dim": 256}
WINDOW = 512


def dots3_note(config: Config) -> Architecture:
    """dots.note: a gate on each head, norms on the rotary key."""
    layers, norm = config.size("num_hidden_layers"), rmsnorm(config, config.size("hidden_size"))
    types, own = _types(config, layers), _own_sizes(config)
    span = sliding_window(config) or config.optional_size("sliding_window_size") or WINDOW
    known: dict[tuple[str, str], str] = {}
    mixers: dict[str, Layer] = {}
    names = []
    for index, kind in enumerate(types):
        sizes = own(index, kind)
        key = (kind, repr(sizes))
        if key not in known:
            known[key] = kind if kind not in mixers else f"{kind}_{len(mixers)}"
            mixers[known[key]] = _attention(config, kind, span, sizes)
        names.append(known[key])
    width = config.count("n_shared_experts") * config.size(_shared_key(config))
    feeds: dict[str, Layer] = {"dense": gated_mlp(config), "sparse": shared_experts(config, d_ff_shared=width or None)}
    return causal_lm(config, hybrid_runs(norm, mixers, feeds, zip(names, _feeds(config, layers), strict=True)), norm)


def _shared_key(config: Config) -> str:
    old = "moe_shared_expert_intermediate_size"
    return old if old in config.data else "shared_experts_intermediate_size"


def _types(config: Config, layers: int) -> list[str]:
    sparse, windowed = config.get("use_dsa"), config.flag("use_sliding_window", True)
    full = "full_attention" if sparse is False else "indexed_attention"
    usual = [full if not windowed or i < 2 or i % 4 == 1 else "sliding_attention" for i in range(layers)]
    types = config.strings("layer_types", layers) or usual
    if sparse is None and "per_layer_config" in config.data:
        return types
    return [full if kind in ("full_attention", "indexed_attention") else kind for kind in types]


def _feeds(config: Config, layers: int) -> list[str]:
    first, period = config.count("first_k_dense_replace", 1), config.get("moe_layer_freq")
    flags = config.layer_indices("moe_layer_freq") if isinstance(period, list) else None
    if flags is not None and len(flags) != layers:
        raise SizeError(f"moe_layer_freq has {len(flags)} entries for {layers} layers", where=config.where)
    step = config.size("moe_layer_freq", 1) if flags is None else 1
    sparse = [i >= first and (bool(flags[i]) if flags else i % step == 0) for i in range(layers)]
    return config.strings("mlp_layer_types", layers) or ["sparse" if flag else "dense" for flag in sparse]


def _own_sizes(config: Config) -> Any:
    """A function from a layer's number and kind to the sizes in which it differs."""
    given = config.get("per_layer_config")
    windowed = {key: config.size(f"swa_{key}", usual) for key, usual in _WINDOWED.items()}
    rest = config.optional_size("swa_qk_rope_head_dim")
    windowed["qk_rope_head_dim"] = rest or windowed["head_dim"] - windowed["qk_nope_head_dim"]
    config.ignore("swa_num_key_value_heads")
    if given is None:
        return lambda index, kind: windowed if kind == "sliding_attention" else {}
    if not isinstance(given, dict) or not all(isinstance(value, dict) for value in given.values()):
        raise DescriptionError(f"per_layer_config is {shown(given)}; it is an object of objects", where=config.where)
    by_number = {int(key): value for key, value in given.items() if str(key).isdecimal()}
    for key in (key for value in by_number.values() for key in value):
        if key not in _FIELDS and key not in _WITHOUT_EFFECT:
            raise UnknownNameError("key of per_layer_config", key, _FIELDS, where=config.where)
    return lambda index, kind: by_number.get(index, {})


def _attention(config: Config, kind: str, span: int, sizes: dict[str, Any]) -> Mla:
    changes: dict[str, Any] = {_FIELDS[key]: value for key, value in sizes.items() if key in _FIELDS}
    changes |= {"gate": "input", "gate_per_head": True, "key_norm": True}
    changes |= {"norm_eps": config.number("rms_norm_eps") or 1e-6, "latent_scaled": True}
    changes |= {"rope_theta": config.rope_theta(kind), **rope_fields(config, kind)}
    if kind == "indexed_attention":
        return indexed(config, index_interleaved=True, **changes)
    if kind not in ("full_attention", "sliding_attention"):
        raise UnknownNameError("layer type", kind, ("full_attention", "sliding_attention", "indexed_attention"))
    return mla(config, window=span if kind == "sliding_attention" else None, **changes)

"""DeepSeekMoE and DeepSeek-V2, V3 and V3.2, with routed and shared experts and multi-head latent attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ....core.architecture import Architecture
from ....layers import Mla, Moe
from ....layers.parts.latent_indexer import LatentIndexer
from ....layers.parts.rope import Yarn
from ..config import NO_FIELDS, SIGMOID, Config, Fields, Layers
from ..rope import rope_scaling, scaling_parameters, yarn_attention_factor
from ..rules import decoder

INDEXER = "n_heads=index_n_heads dim=index_head_dim"  # indexer fields and their config keys


def deepseek_v3(config: Config) -> Architecture:
    """Read a DeepSeek-V3, R1 or Kimi K2 config [deepseek2024v3] with sigmoid routing and a correction-bias buffer."""
    return decoder(config, mla(config), shared_experts(config), feeds=dense_first(config))


def deepseek_v2(config: Config) -> Architecture:
    """Read a DeepSeek-V2 config [deepseek2024v2] with softmax routing. ``mlp_bias`` also applies to shared experts."""
    return _with_expert_note(config, decoder(config, mla(config), softmax_experts(config), feeds=dense_first(config)))


def deepseek_ocr(config: Config) -> Architecture:
    """Read a DeepSeek-OCR 2 or Unlimited-OCR config with DeepSeek-V2's experts and grouped-query attention."""
    kinds = config.mlp_types(config.count("first_k_dense_replace", 1))
    config.ignore("head_dim layer_types")  # the class divides hidden_size by the number of heads
    attention = config.attention(d_head=config.divide_by_heads(config.d_model, config.n_heads))
    built = _with_expert_note(config, decoder(config, attention, softmax_experts(config), feeds=kinds))
    window = config.optional_size("sliding_window")
    if window is None:
        return built
    attended = f"generated tokens attend to the prompt and {window} generated tokens"
    return replace(built, notes=(*built.notes, f"{attended}; all tokens are counted as prompt tokens"))


def deepseek(config: Config) -> Architecture:
    """Read a DeepSeekMoE config [dai2024] with softmax routing, shared experts and standard attention."""
    routed = softmax_experts(config, renormalise=config.flag("norm_topk_prob"))
    return decoder(config, config.attention(), routed, feeds=dense_first(config))


def deepseek_v32(config: Config) -> Architecture:
    """Read a DeepSeek-V3.2 config [deepseek2025v32] with an indexer in every layer."""
    kinds = config.mlp_types(config.count("first_k_dense_replace", 3))
    return indexed_lm(config, {"full": indexed_mla(config)}, ["full"] * config.n_layers, kinds)


def mla(config: Config, rope: Mapping[str, Any] | None = MappingProxyType({}), **changes: Any) -> Mla:
    """Return multi-head latent attention built from DeepSeek keys. See ``Config.attention`` for ``rope``."""
    config.ignore("num_key_value_heads head_dim q_head_dim")
    nope, rotated = config.size("qk_nope_head_dim"), config.count("qk_rope_head_dim")
    config.check_computed("qk_head_dim", nope + rotated)
    rotary = config.rope(**{"interleaved": config.flag("rope_interleave", True), **(rope or {})})
    fields: Fields = {"qk_nope_head_dim": nope, "qk_rope_head_dim": rotated, "scale": _scale(config, nope + rotated)}
    fields["rope"] = None if rope is None else rotary
    keys = "n_heads=num_attention_heads kv_lora_rank v_head_dim? q_lora_rank? bias=attention_bias"
    return config.layer(Mla, keys, **{**fields, **changes})


def _scale(config: Config, width: int) -> float | None:
    """Return the YaRN-adjusted scale of attention scores, or None for the default scale."""
    given = scaling_parameters(config)
    if not given.get("mscale_all_dim") or not isinstance(rope_scaling(config), Yarn):
        return None
    return float(width**-0.5 * yarn_attention_factor(given["factor"], given["mscale_all_dim"]) ** 2)


def shared_experts(
    config: Config, *, routing: Mapping[str, Any] = SIGMOID, shared: Mapping[str, Any] = NO_FIELDS, **changes: Any
) -> Moe:
    """Return routed and shared experts with DeepSeek-V3's routing, built from DeepSeek keys."""
    # the classes do not build modules for multi-token prediction
    config.ignore("num_mtp_layers num_nextn_predict_layers num_routed_experts num_shared_experts")
    shared = {"d_ff": config.shared_width("n_shared_experts"), **shared}
    if not shared["d_ff"] and shared.get("bias"):  # the classes store the biases of an MLP of width 0
        raise config.size_error("n_shared_experts is 0, but mlp_bias adds biases to the shared experts")
    fields = {"expert_groups": config.expert_groups("two"), **changes}
    return config.experts("n_routed_experts", routing=routing, shared=shared, **fields)


def dense_first(config: Config) -> list[str]:
    """Return layer types. All layers from ``first_k_dense_replace`` on are sparse, as in the transformers classes."""
    if config.size("moe_layer_freq", 1) != 1:
        raise config.error("only moe_layer_freq: 1 is supported")
    first = config.count("first_k_dense_replace")
    return ["sparse" if index >= first else "dense" for index in range(config.n_layers)]


def softmax_experts(config: Config, *, renormalise: bool = False) -> Moe:
    """Return routed and shared experts with DeepSeek-V2's routing."""
    routing, shared = {"renormalise": renormalise}, {"bias": config.flag("mlp_bias")}
    groups, is_greedy = config.expert_groups(), config.string("topk_method", "greedy") == "greedy"
    chosen: Fields = {"expert_groups": None if is_greedy else groups}
    chosen["top_k"] = config.optional_size("num_experts_per_tok") or config.size("n_routed_experts")
    return shared_experts(config, routing=routing, shared=shared, **chosen)


def indexed_mla(config: Config, indexer: Mapping[str, Any] = MappingProxyType({}), **changes: Any) -> Mla:
    """Return multi-head latent attention with an indexer. ``indexer`` contains further fields of the indexer."""
    config.ignore("moe_layer_freq mlp_bias indexer_rope_interleave layer_types num_experts")
    sizes = config.fields_of(LatentIndexer, INDEXER)
    return mla(config, indexer=LatentIndexer(**sizes, **indexer), index_topk=config.size("index_topk"), **changes)


def indexer_types(config: Config, layers: int) -> list[str]:
    """Return ``full`` or ``shared`` for each layer, from a list, a string of F and S, or a period and an offset."""
    pattern = config.get("index_topk_pattern")
    period, offset = max(config.count("index_topk_freq", 1), 1), config.count("index_skip_topk_offset", 2)
    types = config.strings("indexer_types", layers)
    if types is None and isinstance(pattern, str):
        types = [{"F": "full", "S": "shared"}.get(letter, letter) for letter in pattern]
    elif types is None and pattern is not None:
        types = config.strings("index_topk_pattern", layers)
    return types or ["shared" if max(index - offset + 1, 0) % period else "full" for index in range(layers)]


def _with_expert_note(config: Config, built: Architecture) -> Architecture:
    """Add a note if the config does not set the number of experts per token."""
    if config.optional_size("num_experts_per_tok"):
        return built
    return replace(built, notes=("num_experts_per_tok is not set: every token is assumed to use all experts",))


def indexed_lm(config: Config, mixers: Layers, types: Sequence[str], kinds: Sequence[str]) -> Architecture:
    """Return a decoder whose attention type and feed-forward type vary by layer."""
    feeds: Layers = {"dense": config.gated_mlp(bias=False), "sparse": shared_experts(config)}
    return decoder(config, mixers, feeds, types, kinds)

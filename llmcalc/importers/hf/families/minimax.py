"""The MiniMax-M2 and MiniMax-M3 mixture-of-experts families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture
from ....core.errors import short_repr
from ....layers import Bounds, Mlp
from ....layers.parts.token_indexer import TokenIndexer
from ..config import SIGMOID, Config, Fields, Layers
from ..rules import decoder

SWIGLU_ALPHA = 1.702  # α in x · sigmoid(α x), as in quick GELU
UP_OFFSET = 1.0
_FLAT = {
    "index_n_heads": "sparse_num_index_heads", "index_head_dim": "sparse_index_dim",
    "index_block_size": "sparse_block_size", "index_topk_blocks": "sparse_topk_blocks",
}  # fmt: skip


def minimax_m2(config: Config) -> Architecture:
    """Read a MiniMax-M2 config with sigmoid routing and norms over the full width of queries and keys."""
    config.get("partial_rotary_factor")
    config.ignore("num_mtp_modules mtp_transformer_layers use_mtp")  # never built by the class
    # the class always behaves as if true
    config.ignore("attn_type_list use_qk_norm qk_norm_type shared_intermediate_size use_routing_bias")
    rotary = config.optional_size("rotary_dim") or config.rotary_width()
    attention = config.attention(bias=False, qk_norm="projection", rope={"dim": rotary})
    return decoder(config, attention, config.experts("num_local_experts", "intermediate_size", routing=SIGMOID))


def minimax_m3(config: Config) -> Architecture:
    """Read a MiniMax-M3 config with unit-offset norms, query and key norms, and indexed sparse attention."""
    layers, width = config.n_layers, config.d_model
    _ignore_derived_keys(config)
    sparse = _indexer_sizes(config)
    act = "quick_gelu"  # x · sigmoid(1.702 x) regardless of hidden_act
    bounds = Bounds(config.number("swiglu_limit"), up_offset=UP_OFFSET)
    keys, shared = ("num_local_experts", "intermediate_size"), {"d_ff": config.size("shared_intermediate_size")}
    routed = config.experts(*keys, routing=SIGMOID, shared=shared, activation=act, bounds=bounds)
    dense = Mlp(width, config.size("dense_intermediate_size"), act, gated=True, bounds=bounds)
    feeds: Layers = {"sparse": routed, "dense": dense}
    full = config.attention(bias=False, rope={"dim": config.rotary_width()}, qk_norm={"unit_offset": True})
    block, heads, head = (sparse(key) for key in ("index_block_size", "index_n_heads", "index_head_dim"))
    more: Fields = {"local": _local_blocks(config), "top_k": block * sparse("index_topk_blocks")}
    indexer = TokenIndexer(heads, head, block, unit_offset=True, norm_eps=config.eps, **more)
    mixers: Layers = {"full_attention": full, "minimax_m3_sparse": replace(full, indexer=indexer)}
    frequency = (config.get("sparse_attention_config") or {}).get("sparse_attention_freq")
    kinds = types_from_flags(config, frequency, layers, "full_attention", "minimax_m3_sparse")
    types = config.layer_types(kinds or ["full_attention"] * layers)
    usual = types_from_flags(config, config.get("moe_layer_freq"), layers, "dense", "sparse") or ["sparse"] * layers
    usual = config.types_like("mlp_layer_types", usual, "moe_layer_freq")
    built = decoder(config, mixers, feeds, types, usual, norm=config.rmsnorm(unit_offset=True))
    return _with_rotary_note(config, built)


def _with_rotary_note(config: Config, built: Architecture) -> Architecture:
    """Add a note to the architecture if ``rotary_dim`` differs from the rotated width."""
    found, written = config.rotary_width(), config.optional_size("rotary_dim")
    if written in (None, found):
        return built
    note = f"{found} channels per head are rotated; the class ignores rotary_dim ({written})"
    return replace(built, notes=(*built.notes, note))


def _ignore_derived_keys(config: Config) -> None:
    """Ignore keys that the transformers class derives or never reads."""
    config.unmodelled_unless("swiglu_alpha", SWIGLU_ALPHA)
    config.ignore("hidden_act first_k_dense_replace n_shared_experts use_gemma_norm")
    config.check_computed("moe_intermediate_size", config.size("intermediate_size"))
    config.ignore("num_mtp_modules num_nextn_predict_layers qk_norm_type use_qk_norm")
    config.ignore("use_routing_bias rotary_dim")  # the class rotates a fraction of each head regardless of rotary_dim
    if config.flag("attention_output_gate"):
        raise config.error("attention_output_gate is not supported")


def _indexer_sizes(config: Config) -> Any:
    """Return a function that reads an indexer size from the top-level keys or ``sparse_attention_config``."""
    given = config.mapping("sparse_attention_config")

    def size(key: str) -> int:
        value = given.get(_FLAT[key], config.size(key))
        if type(value) is not int or value < 1:
            raise config.size_error(f"{_FLAT[key]} must be a positive integer, not {short_repr(value)}")
        return value

    return size


def _local_blocks(config: Config) -> int:
    """Return the number of local blocks that every query attends to."""
    given, flat = config.get("sparse_attention_config") or {}, config.count("index_local_blocks", 1)
    return config.integer(given.get("sparse_local_block", flat), "sparse_local_block", 0)


def types_from_flags(config: Config, flags: object, layers: int, zero: str, one: str) -> list[str] | None:
    """Convert a list of zeros and ones to layer types, or return None without a list."""
    if flags is None:
        return None
    if not isinstance(flags, list) or len(flags) != layers or not set(map(repr, flags)) <= {"0", "1"}:
        raise config.size_error(f"expected a list of {layers} zeros and ones, not {short_repr(flags)}")
    return [one if flag else zero for flag in flags]

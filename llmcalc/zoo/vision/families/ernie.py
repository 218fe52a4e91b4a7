"""ERNIE 4.5 VL in the format of the original release."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture
from ....importers.hf.composite_models import config_at, inherited_text_config, read_composite
from ....importers.hf.config import Config, Fields

IGNORED = """
    freq_allocation im_patch_id moe_capacity moe_gate moe_use_aux_free pixel_hidden_size rope_3d spatial_conv_size
    temporal_conv_size use_temporal_conv
"""
RATIO = 4.0  # default hidden width of the vision encoder, relative to its width


def ernie4_5_moe_vl(config: Config) -> Architecture:
    """Read an ERNIE 4.5 VL config [baidu2025] with the language model's keys at the top level."""
    text = inherited_text_config(config, IGNORED)
    text["mlp_layer_types"] = _layer_types(config, text["num_hidden_layers"])
    counts = text.get("moe_num_experts")
    if isinstance(counts, list):
        if not counts or counts != counts[:1] * len(counts):
            raise config.size_error("moe_num_experts must have the same value for text and images")
        text["moe_num_experts"] = counts[0]
    config.override("text_config", {"model_type": "ernie4_5_vl_moe_text", **text})
    config.override("vision_config", _vision_config(config))
    return read_composite(config)


def _layer_types(config: Config, layers: object) -> list[str]:
    """Return ``sparse`` for the layers in which text or images have experts, and ``dense`` for the others."""
    first, last = config.get("moe_layer_start_index"), config.get("moe_layer_end_index")
    first, last = (min(first) if isinstance(first, list) else first), (max(last) if isinstance(last, list) else last)
    numbers = range(config.integer(layers, "num_hidden_layers", 1))
    start, step = config.integer(first, "moe_layer_start_index", 0), config.size("moe_layer_interval")
    stop = len(numbers) if last is None else config.integer(last, "moe_layer_end_index", 0) + 1
    sparse = (start <= index < stop and (index + 1) % step == 0 for index in numbers)
    return ["sparse" if is_sparse else "dense" for is_sparse in sparse]


def _vision_config(config: Config) -> Fields:
    """Return the vision encoder's config in the keys of the transformers class."""
    found: dict[str, Any] = {**config_at(config, "vision_config"), "model_type": "ernie4_5_vl_moe_vision"}
    width = config.integer(found.pop("embed_dim", None) or found.get("hidden_size"), "embed_dim", 1)
    ratio, eps = config.finite_number(found.pop("mlp_ratio", RATIO), "mlp_ratio"), found.pop("layer_norm_eps", 1e-6)
    for key in ("attn_implementation", "attn_sep", "vit_first_fwd_bsz", "vit_num_recompute_layers"):
        found.pop(key, None)
    return {**found, "hidden_size": width, "intermediate_size": int(width * ratio), "rms_norm_eps": eps}

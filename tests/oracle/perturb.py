"""Tiny configs drawn from a fixed seed: sizes by a key's name, switches flipped; what cannot be built is drawn anew."""

from __future__ import annotations

import random
import re
from typing import Any

from . import reference

VOCAB = 97
ATTEMPTS = 24
Rules = tuple[tuple[str, tuple[int, ...]], ...]
RULES: Rules = (
    (r"(^|_)vocab_size($|_)|^n_words$", (VOCAB, 101)),
    (r"^(num_)?(hidden_|encoder_|decoder_)?layers$|^n_layers?$|num_(en|de)coder_layers$|^depth$", (2, 3, 4)),
    (r"(key_value|kv)_heads$", (1, 2)),
    (r"(attention_heads|_heads|^n_heads?)$", (2, 4)),
    (r"^(hidden_size|d_model|n_embd|dim|emb_dim)$", (32, 64)),
    (r"^embedding_size$", (16, 24)),
    (r"(intermediate_size|ffn_dim|d_ff|_inner|ffn_hidden_size)$", (40, 56)),
    (r"(head_dim|^d_kv)$", (8, 16)),
    (r"(max_.*position_embeddings|n_positions|n_ctx)$", (64, 80)),
    (r"^(n_routed_experts|num_experts|num_local_experts)$", (4, 8)),
    (r"(experts_per_tok|top_k|topk)$", (1, 2)),
    (r"^rotary_dim$", (4, 8)),
    (r"^(mamba_)?n_groups$", (1, 2)),
    (r"^(n_group|topk_group|n_shared_experts)$", (1, 2)),
    (r"^(sliding_window|attention_window|block_size|local_radius)$", (8, 16)),
    (r"num_buckets$", (8, 16)),
    (r"^indexer_budget$", (8, 16)),
    (r"^indexer_compress_ratio$", (4, 8)),
)
# tried where nothing else runs: layers enough for every kind of them, and heads that go together
TAME: Rules = (
    (r"^(num_)?(hidden_)?layers$|^n_layers?$", (8,)),
    (r"(key_value_heads|attention_heads)$", (4,)),
    (r"^(experts_per_tok|num_experts_per_tok)$", (2,)),
    (r"^(n_group|topk_group)$", (1,)),
    (r"^qk_(rope|nope)_head_dim$|^v_head_dim$|^index_head_dim$", (16,)),
)


def sections(*widths: int) -> dict[str, Any]:
    """Rotary positions along several axes, each of which turns its share of a head."""
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": list(widths)}


def along_axes(model_type: str, **more: Any) -> dict[str, Any]:
    """A language model whose heads of 16 turn along three axes."""
    sizes = {"hidden_size": 64, "intermediate_size": 40, "num_hidden_layers": 3, "vocab_size": VOCAB}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "rope_parameters": sections(2, 3, 3)}
    return {"text_config": {"model_type": model_type, **sizes, **heads, **more}}


# what a class needs besides sizes, or where the length of a list goes with a number
FIXED: dict[str, dict[str, Any]] = {
    "chameleon": {"vocabulary_map": {"<image>": 5, "IMGIMGA": 6, "IMGIMGB": 7}},
    "deepseek_ocr2_text": {"num_hidden_layers": 3, "mlp_layer_types": ["dense", "sparse", "sparse"]},
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 24},
    "ernie4_5_vl_moe_text": {
        "hidden_size": 64,
        "num_attention_heads": 4,
        "moe_intermediate_size": [24, 16],
        "rope_parameters": sections(3, 3, 2),
    },
    "kyutai_speech_to_text": {"codec_config": {"model_type": "mimi"}},
    "glm_ocr_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "hunyuan_vl_text": {"head_dim": 16, "num_key_value_heads": 2, "rope_parameters": sections(2, 2, 2, 2)},
    "gemma3": {"tie_word_embeddings": True},
    "internvl": {"tie_word_embeddings": False},
    "mistral3": {"tie_word_embeddings": False},
    "pix2struct_text_model": {"hidden_size": 64, "num_heads": 4, "d_kv": 16},
    "step3p5": {"num_local_experts": 4, "n_routed_experts": 4},
    "qwen2_vl_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "qwen2_5_vl_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "qwen2_5_omni_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "paddleocr_vl_text": {"hidden_size": 64, "head_dim": 16, "rope_parameters": sections(2, 3, 3)},
    "bamba": {"num_hidden_layers": 3, "attn_layer_indices": [1]},
    "cohere_compass_text": {
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        }
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0}, "tie_word_embeddings": False},
    "dory": {"num_hidden_layers": 5, "n_input_layers": 1, "n_output_layers": 2, "n_recurrent_loops": 3},
    "esm": {"pad_token_id": 1, "mask_token_id": 32},
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"num_hidden_layers": 3, "layer_types": ["mamba", "attention", "mamba"]},
    "longcat_flash": {"zero_expert_num": 0},
    "lfm2_moe": {"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"]},
    "mamba2": {"hidden_size": 32, "expand": 2, "num_heads": 4, "head_dim": 16},
    "mpnet": {"relative_attention_num_buckets": 32},
    "qwen2_vl": {
        **along_axes("qwen2_vl_text", tie_word_embeddings=False),
        "vision_config": {"embed_dim": 32, "hidden_size": 64, "num_heads": 2, "depth": 3, "mlp_ratio": 3},
    },
    "qwen2_5_vl": along_axes("qwen2_5_vl_text", tie_word_embeddings=False),
    "perceiver": {
        "num_latents": 7,
        "d_latents": 32,
        "d_model": 24,
        "num_blocks": 2,
        "num_self_attends_per_block": 2,
        "num_self_attention_heads": 4,
        "num_cross_attention_heads": 2,
        "qk_channels": 16,
        "v_channels": 32,
    },
    "squeezebert": {"hidden_size": 32, "embedding_size": 32},
    "vipllava": {"vision_feature_layer": [-2, 1]},
    "xlstm": {"hidden_size": 128, "num_heads": 4},
    "xmod": {"languages": ["en_XX", "de_DE"], "default_language": "en_XX"},
    "zamba": {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zamba2": {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2},
}
SPECIAL = re.compile(r"_token_id$")
KEPT_SWITCHES = {
    "is_encoder_decoder",
    "is_decoder",
    "add_cross_attention",
    "use_cache",
    "use_bfloat16",
    "bi_data",  # halves the batch
    "output_router_logits",
    "use_bidirectional_attention",  # the class caches what no decoder asks for
}


def tiny(model_type: str, class_name: str, seed: int, *, runs: bool = False) -> dict[str, Any] | None:
    """Changes to the class's defaults that can be built (and, if asked, run), or None if no draw can."""
    generator = random.Random(f"{model_type} {class_name} {seed}")
    for attempt in range(ATTEMPTS):
        changes = _draw(generator, model_type, attempt)
        if _can_be_built(class_name, model_type, changes) and (
            not runs or reference.runs(class_name, model_type, changes)
        ):
            return changes
    return None


def _draw(generator: random.Random, model_type: str, attempt: int) -> dict[str, Any]:
    """Changes to a class and the configs within it, with fewer switches flipped at each attempt."""
    flips = max(0.0, 0.4 - attempt / ATTEMPTS)
    fill, rules = attempt >= ATTEMPTS // 3, (*TAME, *RULES) if attempt >= ATTEMPTS // 2 else RULES
    changes = _changes(generator, reference.defaults(model_type), flips, fill, rules)
    for key, (role, inner) in reference.inner_defaults(model_type).items():
        changes[key] = {**role, **_changes(generator, inner, flips, fill, rules)}
    return {**changes, **FIXED.get(model_type, {})}


def _changes(
    generator: random.Random, defaults: dict[str, Any], flips: float, fill: bool, rules: Rules
) -> dict[str, Any]:
    """``fill``: sizes that the class leaves open are drawn too."""
    changes: dict[str, Any] = {}
    for key, value in sorted(defaults.items()):
        if type(value) is bool:
            if key not in KEPT_SWITCHES and generator.random() < flips:
                changes[key] = not value
        elif SPECIAL.search(key) and type(value) is int and value >= VOCAB:
            changes[key] = 1
        elif (type(value) is int or (value is None and fill)) and (choices := _choices(key, value, rules)):
            changes[key] = generator.choice(choices)
    return changes


def _choices(key: str, value: int | None, rules: Rules) -> tuple[int, ...]:
    """Sizes for a key; never larger than the default."""
    found = next((choices for pattern, choices in rules if re.search(pattern, key)), ())
    return tuple(size for size in found if value is None or size <= value)


def _can_be_built(class_name: str, model_type: str, changes: dict[str, Any]) -> bool:
    try:
        return reference.parameters(reference.build(class_name, model_type, changes)) <= reference.LARGEST
    except Exception:  # whatever a class objects to; another draw may suit it
        return False

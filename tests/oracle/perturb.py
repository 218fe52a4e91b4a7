"""Tiny configs, drawn at random from a fixed seed: sizes by the name of a key, switches flipped, what cannot be built left out."""

from __future__ import annotations

import random
import re
from typing import Any

from . import reference

VOCAB = 97
ATTEMPTS = 24
RULES: tuple[tuple[str, tuple[int, ...]], ...] = (
    (r"(^|_)vocab_size$", (VOCAB, 101)),
    (r"^(num_)?(hidden_|encoder_|decoder_)?layers$|^n_layers?$|num_(en|de)coder_layers$", (2, 3, 4)),
    (r"(key_value|kv)_heads$", (1, 2)),
    (r"(attention_heads|_heads|^n_heads?)$", (2, 4)),
    (r"^(hidden_size|d_model|n_embd|dim)$", (32, 64)),
    (r"^embedding_size$", (16, 24)),
    (r"(intermediate_size|ffn_dim|d_ff|_inner|ffn_hidden_size)$", (40, 56)),
    (r"^(head_dim|d_kv)$", (8, 16)),
    (r"(max_.*position_embeddings|n_positions|n_ctx)$", (64, 80)),
    (r"^(n_routed_experts|num_experts|num_local_experts)$", (4, 8)),
    (r"(experts_per_tok|top_k)$", (1, 2)),
    (r"^(n_group|topk_group)$", (1, 2)),
    (r"^(sliding_window|attention_window|block_size|local_radius)$", (8, 16)),
    (r"num_buckets$", (8, 16)),
)
SPECIAL = re.compile(r"_token_id$")
KEPT_SWITCHES = {"is_encoder_decoder", "is_decoder", "use_cache", "return_dict", "use_bfloat16", "add_cross_attention"}


def tiny(model_type: str, class_name: str, seed: int, defaults: dict[str, Any]) -> dict[str, Any] | None:
    """Changes to the class's ``defaults`` that can be built, or None if no draw can."""
    generator = random.Random(f"{model_type} {class_name} {seed}")
    for attempt in range(ATTEMPTS):
        changes = _draw(generator, defaults, flips=max(0.0, 0.4 - attempt / ATTEMPTS))
        if _can_be_built(class_name, model_type, changes):
            return changes
    return None


def _draw(generator: random.Random, defaults: dict[str, Any], flips: float) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for key, value in sorted(defaults.items()):
        if type(value) is bool:
            if key not in KEPT_SWITCHES and generator.random() < flips:
                changes[key] = not value
        elif SPECIAL.search(key) and type(value) is int and value >= VOCAB:
            changes[key] = 1
        elif type(value) is int and (choices := _choices(key, value)):
            changes[key] = generator.choice(choices)
    return changes


def _choices(key: str, value: int) -> tuple[int, ...]:
    """Sizes for a key; never larger than the default."""
    found = next((choices for pattern, choices in RULES if re.search(pattern, key)), ())
    return tuple(size for size in found if size <= value)


def _can_be_built(class_name: str, model_type: str, changes: dict[str, Any]) -> bool:
    try:
        reference.build(class_name, model_type, changes)
    except Exception:  # whatever a class objects to; another draw may suit it
        return False
    return True

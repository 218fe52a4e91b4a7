"""Tiny configs whose numbers are drawn too: factors, epsilons, activations, rotary bases."""

from __future__ import annotations

import random
import re
from typing import Any

from . import perturb, reference

ATTEMPTS = 8
EPSILONS = (0.01, 0.03, 0.1)
FACTORS = (0.6, 0.8, 1.3, 1.7)  # on the default
CAPS = (2.0, 3.0)
ACTIVATIONS = ("gelu", "relu", "silu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "tanh")
THETAS = (100.0, 500.0)
ROPES: tuple[dict[str, Any], ...] = (
    {},
    {"rope_type": "linear", "factor": 2.5},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    {
        "rope_type": "llama3",
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
)
UNDRAWN = re.compile(
    r"swiglu_alpha|normalize_expert|dropout|pdrop|layerdrop|initializer|init_std|_init(_|$)|embed_init|loss|norm_std|jitter|proj_factor|dim_factor"
    r"|ffn_dim_multiplier|fraction|prob$|variance|_min$|_max$|floor|cutoff_factor|z_loss|leaky|speech|t2u"
)
SHARPENED = {  # queries grow within a test's text
    "rope_type": "yarn",
    "rope_theta": 100.0,
    "factor": 4.0,
    "original_max_position_embeddings": 7,
    "mscale_all_dim": 1.0,
    "mscale": 1.0,
    "llama_4_scaling_beta": 0.3,
}
PAIRS = {  # which have factors of their own, some for short texts and some for those of the test
    "hidden_size": 64,
    "num_attention_heads": 4,
    "original_max_position_embeddings": 16,
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 100.0,
        "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.7, 1.8],
        "long_factor": [1.0, 1.4, 2.1, 2.9, 3.5, 4.2, 5.1, 6.0],
        "original_max_position_embeddings": 16,
        "partial_rotary_factor": 1.0,
    },
}
# what no rule finds: numbers that are whole or unset by default, and what only together is a config
NUMBERS: dict[str, dict[str, Any]] = {
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 100.0, "clip_qkv": 0.3}},
    "deepseek_v2": {"topk_method": "greedy"},
    "doge": {"is_moe": False, "keep_window_size": 5},
    "falcon_h1": {"mlp_multipliers": [0.7, 1.3], "ssm_multipliers": [0.6, 0.8, 1.2, 1.4, 1.6]},
    "gemma2": {"query_pre_attn_scalar": 7},
    "gemma3_text": {"query_pre_attn_scalar": 7, "final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0},
    "hyperclovax": {"attention_multiplier": 0.4},
    "inkling_text": {"log_scaling_n_floor": 5, "log_scaling_alpha": 0.7},
    "inkling2_text": {
        "log_scaling_n_floor": 5,
        "log_scaling_alpha": 0.7,
        "qk_l2_clip_threshold": 0.4,
        "rel_l2_clip_threshold": 0.3,
    },
    "llama4_text": {"floor_scale": 5},
    "longcat_flash": {"zero_expert_num": 3},
    "ministral3": {"rope_parameters": SHARPENED},
    "mistral4": {"rope_parameters": SHARPENED},
    "olmo": {"clip_qkv": 0.3},
    "olmoe": {"clip_qkv": 0.3},
    "phi3": PAIRS,
    "step3p5": {"swiglu_limits": [0.0, 0.3, 0.4, 0.0] * 2, "swiglu_limits_shared": [0.2, 0.0, 0.5, 0.0] * 2},
    "t5gemma": {},
    "zamba": {"tie_word_embeddings": True, "mamba_conv_bias": True, "hidden_mamba_act": "gelu"},
    "vaultgemma": {"query_pre_attn_scalar": 7},
}


def tiny(model_type: str, class_name: str, seed: int) -> dict[str, Any] | None:
    """Changes to the class's defaults that run, as many of them numbers as can be; None: no draw runs."""
    sizes = perturb.tiny(model_type, class_name, seed, runs=True)
    if sizes is None:
        return None
    generator = random.Random(f"numbers of {model_type} {class_name} {seed}")
    for attempt in range(ATTEMPTS):
        share = 1.0 - attempt / (ATTEMPTS - 1)
        changes = {
            **sizes,
            **_numbers(generator, reference.defaults(model_type), share, seed),
            **NUMBERS.get(model_type, {}),
        }
        for key, (_, inner) in reference.inner_defaults(model_type).items():
            changes[key] = {**changes.get(key, {}), **_numbers(generator, inner, share, seed)}
        changes |= _rotary(generator, model_type, class_name, changes, ROPES[seed % len(ROPES)] if share > 0.4 else {})
        if reference.runs(class_name, model_type, changes):
            return changes
    return sizes


def _numbers(generator: random.Random, defaults: dict[str, Any], share: float, seed: int) -> dict[str, Any]:
    """Every second seed leaves the activations alone, for which some layers are described only as they are."""
    found: dict[str, Any] = {}
    for key, value in sorted(defaults.items()):
        if UNDRAWN.search(key) or generator.random() >= share:
            continue
        if re.search(r"(^|_)eps(ilon)?$", key) and type(value) is float:
            found[key] = generator.choice(EPSILONS)
        elif "cap" in key and type(value) is float:
            found[key] = generator.choice(CAPS)
        elif type(value) is float and "theta" not in key:
            found[key] = value * generator.choice(FACTORS)
        elif (
            seed % 2
            and type(value) is str
            and (key.endswith(("_act", "_activation", "activation_function")) or key == "afn")
        ):
            found[key] = generator.choice([name for name in ACTIVATIONS if name != value])
    return found


def _rotary(
    generator: random.Random, model_type: str, class_name: str, changes: dict[str, Any], scaled: dict[str, Any]
) -> dict[str, Any]:
    """Another base, and perhaps another scaling, where the built config has rotary positions."""
    try:
        built = reference.build(class_name, model_type, changes).config.rope_parameters
    except Exception:
        return {}
    if not isinstance(built, dict):
        return {}

    def changed(given: dict[str, Any]) -> dict[str, Any]:
        if given.get("rope_type", "default") != "default":
            return given
        return {**given, "rope_theta": generator.choice(THETAS), **scaled}

    nested = any(isinstance(part, dict) for part in built.values())
    if nested:
        return {"rope_parameters": {key: changed(part) if part else part for key, part in built.items()}}
    return {"rope_parameters": changed(built)}

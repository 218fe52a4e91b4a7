"""The published config of GLM-5.3-Flash, whose keys and layer types differ from those of the class of transformers."""

from __future__ import annotations

from typing import Any

import llmcalc

FULL = list(range(3, 45, 4))
TEXT: dict[str, Any] = {
    "model_type": "glm5_next_text", "vocab_size": 154880, "hidden_size": 4096, "intermediate_size": 12288,
    "num_hidden_layers": 45, "num_attention_heads": 64, "num_key_value_heads": 64, "first_k_dense_replace": 3,
    "moe_intermediate_size": 2048, "n_routed_experts": 288, "n_shared_experts": 1, "num_experts_per_tok": 8,
    "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "norm_topk_prob": True,
    "moe_router_dtype": "float32", "n_group": 1, "topk_group": 1, "mhc": True, "hc_mult": 4, "hc_eps": 1e-6,
    "hc_sinkhorn_iters": 20, "mla_use_nope": True, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 256,
    "qk_rope_head_dim": 0, "v_head_dim": 256, "index_n_heads": 32, "index_head_dim": 128, "index_topk": 2048,
    "index_kpool": 4, "index_kpool_compress": True, "index_kpool_always_select_tail": True,
    "num_nextn_predict_layers": 1, "swiglu_limit": 10.0, "rms_norm_eps": 1e-5, "hidden_act": "silu",
    "layer_types": ["deepseek_sparse_attention" if i in FULL else "linear_attention" for i in range(45)],
    "mlp_layer_types": ["dense"] * 3 + ["sparse"] * 42,
    "linear_attn_config": {
        "num_heads": 64, "head_dim": 128, "short_conv_kernel_size": 4, "gate_lower_bound": -5.0,
        "kda_layers": [i for i in range(45) if i not in FULL], "full_attn_layers": FULL,
    },
}  # fmt: skip


def test_the_published_config_has_the_layers_of_the_preset() -> None:
    config, preset = llmcalc.load(TEXT), llmcalc.load("glm-5.3-flash")
    ours, theirs = llmcalc.params(preset), llmcalc.params(config)
    assert (ours.total, ours.active) == (theirs.total, theirs.active)
    for quantity in (llmcalc.flops, llmcalc.state):
        found = [quantity(model, seq=1009).to_dict() for model in (config, preset)]
        assert found[0].get("total") == found[1].get("total")
        assert found[0].get("bytes") == found[1].get("bytes")


def test_features_that_a_config_turns_off_are_named() -> None:
    for key in ("mhc", "mla_use_nope", "index_kpool_compress"):
        assert any(key in text for text in llmcalc.load({**TEXT, key: False}).unmodelled), key


def test_the_number_of_dense_layers_is_read() -> None:
    rest = {key: value for key, value in TEXT.items() if key != "mlp_layer_types"}
    fewer = llmcalc.params(llmcalc.load({**rest, "first_k_dense_replace": 1})).total
    assert fewer > llmcalc.params(llmcalc.load(rest)).total == llmcalc.params(llmcalc.load(TEXT)).total

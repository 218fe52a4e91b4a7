"""The twins give the logits of transformers' own classes: tiny models of many configs, run side by side in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers

import llmcalc

TOLERANCE = 5e-5  # relative to the largest logit; transformers computes norms and softmax in float32
BATCH, TOKENS, VOCAB = 2, 11, 61
SPREAD = 0.15

SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = {
    "vocab_size": VOCAB,
    "n_positions": 32,
    "n_embd": 24,
    "n_layer": 3,
    "n_head": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
BERT = {key: SMALL[key] for key in SMALL if "key_value" not in key and "_id" not in key}
MLA = {"q_lora_rank": 10, "kv_lora_rank": 8, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 10}
DEEPSEEK = {
    **SMALL,
    **MLA,
    "num_key_value_heads": 4,
    "moe_intermediate_size": 12,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
}
DEEPSEEK |= {"num_experts_per_tok": 3, "n_group": 4, "topk_group": 2, "first_k_dense_replace": 1}
INDEXED = {**DEEPSEEK, "index_n_heads": 8, "index_head_dim": 10, "index_topk": 4, "num_hidden_layers": 4}
HYPER = {key: value for key, value in INDEXED.items() if key != "first_k_dense_replace"}
STREAMED = {
    **SMALL,
    "q_lora_rank": 10,
    "moe_intermediate_size": 12,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "index_n_heads": 8,
    "index_head_dim": 10,
    "num_key_value_heads": 1,
    "head_dim": 12,
    "partial_rotary_factor": 0.5,
    "hc_mult": 3,
    "hc_sinkhorn_iters": 4,
    "o_groups": 2,
    "o_lora_rank": 5,
    "sliding_window": 4,
    "index_topk": 2,
    "compress_rates": {"compressed_sparse_attention": 2, "heavily_compressed_attention": 3},
    "layer_types": ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"] * 2,
    "mlp_layer_types": ["hash_moe", "moe"] * 3,
    "num_hidden_layers": 6,
    "n_shared_experts": 1,
}
GEMMA3N = {**SMALL, "head_dim": 10, "sliding_window": 4, "vocab_size_per_layer_input": 53, "laurel_rank": 5}
GEMMA3N |= {"hidden_size_per_layer_input": 7, "num_hidden_layers": 6, "num_kv_shared_layers": 2}
GEMMA3N |= {"layer_types": ["sliding_attention", "full_attention"] * 3, "altup_num_inputs": 3}
GEMMA4 = {**SMALL, "head_dim": 10, "global_head_dim": 16, "num_hidden_layers": 8, "sliding_window": 4}
GEMMA4 |= {"layer_types": ["sliding_attention", "full_attention"] * 4}
GEMMA4 |= {"vocab_size_per_layer_input": 61, "hidden_size_per_layer_input": 7}
GEMMA4_EXPERTS = {"enable_moe_block": True, "num_experts": 5, "top_k_experts": 2, "moe_intermediate_size": 12}
T5 = {
    "vocab_size": VOCAB,
    "d_model": 24,
    "d_kv": 10,
    "d_ff": 20,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 4,
}
T5 |= {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 9, "decoder_start_token_id": 0}
BART = {"vocab_size": VOCAB, "d_model": 24, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4}
BART |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 20, "decoder_ffn_dim": 28, "max_position_embeddings": 32}
MAMBA = {"vocab_size": VOCAB, "hidden_size": 24, "num_hidden_layers": 2, "state_size": 6, "conv_kernel": 3}
MAMBA2 = {**MAMBA, "num_heads": 6, "head_dim": 8, "expand": 2, "n_groups": 2, "chunk_size": 4}

XLSTM = {"vocab_size": VOCAB, "hidden_size": 64, "num_hidden_layers": 2, "num_heads": 4, "chunk_size": 4}
XLSTM |= {"ffn_round_up_to_multiple_of": 4, "use_cache": False, "chunkwise_kernel": "chunkwise--native_autograd"}
XLSTM |= {"sequence_kernel": "native_sequence__native", "step_kernel": "native"}


def rope(kind: str, **fields: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **fields}}


LLAMA3 = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
YARN = {"factor": 4.0, "original_max_position_embeddings": 8}

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("gpt2", "plain", GPT2),
    ("gpt2", "scaled by layer", {**GPT2, "scale_attn_by_inverse_layer_idx": True, "n_inner": 20}),
    (
        "gpt2",
        "unscaled",
        {**GPT2, "scale_attn_weights": False, "activation_function": "relu", "tie_word_embeddings": False},
    ),
    ("llama", "plain", SMALL),
    (
        "llama",
        "biased",
        {**SMALL, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "head_dim": 10},
    ),
    ("llama", "llama3", {**SMALL, **rope("llama3", **LLAMA3)}),
    ("llama", "linear", {**SMALL, **rope("linear", factor=3.0)}),
    ("llama", "dynamic", {**SMALL, "max_position_embeddings": 6, **rope("dynamic", factor=2.0)}),
    ("llama", "yarn", {**SMALL, **rope("yarn", **YARN)}),
    ("mistral", "window", {**SMALL, "sliding_window": 4, "hidden_act": "gelu"}),
    ("mistral", "no window", {**SMALL, "sliding_window": None, "tie_word_embeddings": True}),
    ("mixtral", "window", {**SMALL, "num_local_experts": 5, "num_experts_per_tok": 3, "sliding_window": 4}),
    ("qwen2", "windows above", {**SMALL, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}),
    (
        "qwen3",
        "windows above",
        {**SMALL, "head_dim": 10, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    (
        "qwen3",
        "biased",
        {**SMALL, "head_dim": 10, "attention_bias": True, "rms_norm_eps": 1e-3, "tie_word_embeddings": True},
    ),
    (
        "qwen3_moe",
        "plain",
        {**SMALL, "head_dim": 10, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 12},
    ),
    (
        "qwen3_moe",
        "renormalised",
        {**SMALL, "head_dim": 10, "num_experts": 5, "num_experts_per_tok": 2, "norm_topk_prob": True},
    ),
    ("gemma", "plain", {**SMALL, "head_dim": 10}),
    ("gemma2", "plain", {**SMALL, "head_dim": 10, "sliding_window": 4, "query_pre_attn_scalar": 7}),
    ("gemma2", "no caps", {**SMALL, "head_dim": 10, "attn_logit_softcapping": None, "final_logit_softcapping": None}),
    ("gemma3_text", "plain", {**SMALL, "head_dim": 10, "sliding_window": 4, "num_hidden_layers": 7}),
    ("gemma3n_text", "plain", GEMMA3N),
    (
        "gemma3n_text",
        "variant",
        {**GEMMA3N, "activation_sparsity_pattern": [0.6] * 3 + [0.0] * 3, "altup_correct_scale": False},
    ),
    ("gemma4_text", "plain", GEMMA4),
    ("gemma4_text", "reused", {**GEMMA4, "num_kv_shared_layers": 3, "use_double_wide_mlp": True}),
    (
        "gemma4_text",
        "experts",
        {**GEMMA4, **GEMMA4_EXPERTS, "hidden_size_per_layer_input": 0, "attention_k_eq_v": True},
    ),
    (
        "gpt_oss",
        "plain",
        {
            **SMALL,
            "head_dim": 10,
            "num_local_experts": 5,
            "num_experts_per_tok": 2,
            "sliding_window": 4,
            **rope("yarn", **YARN, truncate=False),
        },
    ),
    ("deepseek_v3", "plain", DEEPSEEK),
    ("deepseek_v3", "yarn", {**DEEPSEEK, **rope("yarn", **YARN, mscale=1.0, mscale_all_dim=0.7)}),
    (
        "deepseek_v3",
        "variant",
        {
            **DEEPSEEK,
            "q_lora_rank": None,
            "norm_topk_prob": False,
            "rope_interleave": False,
            "attention_bias": True,
            "n_group": 1,
            "topk_group": 1,
        },
    ),
    ("deepseek_v2", "grouped", {**DEEPSEEK, "topk_method": "group_limited_greedy", "routed_scaling_factor": 2.5}),
    ("deepseek_v2", "greedy", {**DEEPSEEK, "topk_method": "greedy", "q_lora_rank": None}),
    ("deepseek_v32", "plain", INDEXED),
    ("deepseek_v32", "yarn", {**INDEXED, **rope("yarn", **YARN, mscale=1.0, mscale_all_dim=0.7)}),
    ("glm_moe_dsa", "shared choice", {**INDEXED, "indexer_types": ["full", "shared", "full", "shared"]}),
    (
        "dots3_note_text",
        "plain",
        {
            **INDEXED,
            "layer_types": ["full_attention", "indexed_attention"] * 2,
            "rms_norm_eps": 1e-4,
        },
    ),
    ("axk2", "plain", {**INDEXED, "gated_norm_rank": 5}),
    ("hy_v4", "plain", {**HYPER, "hc_mult": 3, "indexer_types": ["full", "shared"] * 2, "swiglu_limit": 0.2}),
    ("deepseek_v4", "plain", STREAMED),
    ("deepseek_v4", "yarn", {**STREAMED, **rope("yarn", **YARN), "compress_rope_theta": 5000.0, "swiglu_limit": 0.2}),
    (
        "minimax",
        "plain",
        {
            **SMALL,
            "head_dim": 10,
            "num_hidden_layers": 4,
            "block_size": 4,
            "num_local_experts": 5,
            "num_experts_per_tok": 2,
            "layer_types": ["linear_attention", "full_attention"] * 2,
            "full_attn_alpha_factor": 1.5,
            "linear_attn_beta_factor": 0.7,
            "mlp_alpha_factor": 1.2,
        },
    ),
    (
        "minimax_m3_vl_text",
        "plain",
        {
            **SMALL,
            "head_dim": 10,
            **rope("default", partial_rotary_factor=0.6),
            "rotary_dim": 6,
            "num_hidden_layers": 4,
            "dense_intermediate_size": 14,
            "shared_intermediate_size": 18,
            "num_local_experts": 5,
            "num_experts_per_tok": 2,
            "index_n_heads": 2,
            "index_head_dim": 8,
            "index_block_size": 2,
            "index_topk_blocks": 3,
            "layer_types": ["full_attention", *["minimax_m3_sparse"] * 3],
            "mlp_layer_types": ["dense", *["sparse"] * 3],
            "swiglu_limit": 0.2,
        },
    ),
    (
        "qwen4_exp_text",
        "plain",
        {
            **SMALL,
            "head_dim": 12,
            "num_hidden_layers": 4,
            "hc_count": 3,
            "hc_lowrank": 5,
            "indexer_budget": 4,
            "indexer_compress_ratio": 2,
            "indexer_head_dim": 10,
            **rope("default", partial_rotary_factor=0.5),
            "indexer_kv_heads": 1,
            "indexer_n_heads": 8,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 5,
            "linear_value_head_dim": 7,
            "layer_types": ["linear_attention", "indexed_attention"] * 2,
            "num_experts": 5,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 12,
            "shared_expert_intermediate_size": 14,
        },
    ),
    ("diffllama", "grouped", {**SMALL, "num_attention_heads": 12, "num_key_value_heads": 4}),
    ("xlstm", "plain", XLSTM),
    ("xlstm", "biased", {**XLSTM, "use_bias": True, "gate_soft_cap": 2.0}),
    ("mamba", "plain", MAMBA),
    (
        "mamba",
        "biased",
        {**MAMBA, "use_bias": True, "use_conv_bias": False, "time_step_rank": 3, "tie_word_embeddings": False},
    ),
    ("mamba2", "plain", MAMBA2),
    (
        "mamba2",
        "limits",
        {**MAMBA2, "use_bias": True, "n_groups": 3, "time_step_limit": [0.3, 0.9], "tie_word_embeddings": True},
    ),
    (
        "rwkv",
        "plain",
        {"vocab_size": VOCAB, "hidden_size": 24, "num_hidden_layers": 2, "intermediate_size": 20, "context_length": 32},
    ),
    ("bert", "plain", BERT),
    (
        "bert",
        "causal",
        {**BERT, "is_decoder": True, "hidden_act": "gelu_new", "tie_word_embeddings": False, "type_vocab_size": 3},
    ),
    ("roberta", "padded", {**BERT, "pad_token_id": 1, "type_vocab_size": 1}),
    (
        "albert",
        "groups",
        {**BERT, "embedding_size": 10, "num_hidden_groups": 2, "inner_group_num": 2, "num_hidden_layers": 4},
    ),
    ("apertus", "plain", {**SMALL, "hidden_act": "xielu", "head_dim": 10, **rope("default")}),
    ("big_bird", "blocks", {**BERT, "block_size": 1, "num_random_blocks": 2, "use_bias": True}),
    ("big_bird", "short", {**BERT, "block_size": 4, "num_random_blocks": 2, "hidden_act": "gelu_new"}),
    (
        "squeezebert",
        "groups",
        {**BERT, "embedding_size": 24, "q_groups": 2, "k_groups": 4, "v_groups": 3, "output_groups": 4},
    ),
    ("openai-gpt", "plain", GPT2),
    ("t5", "plain", T5),
    ("t5", "gated", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    ("t5", "unscaled", {**T5, "scale_decoder_outputs": False, "feed_forward_proj": "gated-silu"}),
    (
        "switch_transformers",
        "full experts",
        {
            **T5,
            "num_experts": 3,
            "expert_capacity": 2,
            "router_bias": True,
            "num_sparse_encoder_layers": 1,
            "num_sparse_decoder_layers": 1,
        },
    ),
    ("switch_transformers", "untied", {**T5, "num_experts": 3, "expert_capacity": 64, "tie_word_embeddings": False}),
    ("bart", "plain", BART),
    ("bart", "scaled", {**BART, "scale_embedding": True, "tie_word_embeddings": False, "activation_function": "relu"}),
    (
        "qwen3_next",
        "plain",
        {
            **SMALL,
            "head_dim": 10,
            "num_hidden_layers": 4,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 5,
            "linear_value_head_dim": 7,
            "num_experts": 5,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 12,
            "shared_expert_intermediate_size": 14,
        },
    ),
    (
        "jamba",
        "plain",
        {
            **SMALL,
            "num_hidden_layers": 4,
            "attn_layer_period": 3,
            "attn_layer_offset": 1,
            "num_experts": 3,
            "num_experts_per_tok": 2,
            "mamba_d_state": 5,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
    (
        "nemotron_h",
        "plain",
        {
            **SMALL,
            "layers_block_type": ["mamba", "moe", "attention", "mlp"],
            "num_hidden_layers": 4,
            "mamba_num_heads": 6,
            "mamba_head_dim": 8,
            "ssm_state_size": 5,
            "n_groups": 2,
            "chunk_size": 4,
            "head_dim": 10,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 12,
            "moe_shared_expert_intermediate_size": 14,
            "use_mamba_kernels": False,
        },
    ),
]
AUTO = (transformers.AutoModelForCausalLM, transformers.AutoModelForMaskedLM, transformers.AutoModelForSeq2SeqLM)


def build(model_type: str, fields: dict[str, Any]) -> tuple[Any, Any]:
    """A tiny model of transformers with random weights in float64, and its config."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(model_type, **fields)
    config._experts_implementation = "eager"
    masked = model_type in ("bert", "roberta", "albert", "squeezebert", "big_bird") and not fields.get("is_decoder")
    auto = AUTO[2] if config.is_encoder_decoder else AUTO[1] if masked else AUTO[0]
    model = auto.from_config(config, attn_implementation="eager", dtype=torch.float64).eval()
    for name, parameter in model.named_parameters():
        keeps = name.endswith(("A_log", "dt_bias", "time_decay", "time_first", "time_mix_key"))
        parameter.data += SPREAD * torch.randn_like(parameter) if parameter.ndim == 1 or keeps else 0.0
        if parameter.ndim > 1 and not keeps:
            parameter.data = SPREAD * torch.randn_like(parameter)
        if "router" in name or name.endswith(("gate.weight", "classifier.weight")):
            parameter.data *= 8  # clear margins between experts
    return model, config


@pytest.mark.parametrize(("model_type", "variant", "fields"), CASES, ids=[f"{case[0]} {case[1]}" for case in CASES])
def test_logits_are_those_of_transformers(model_type: str, variant: str, fields: dict[str, Any]) -> None:
    model, config = build(model_type, fields)
    ids = torch.randint(3, VOCAB, (BATCH, TOKENS), generator=torch.Generator().manual_seed(1))
    if variant == "padded":
        ids[0, -3:] = fields["pad_token_id"]
    more = {"decoder_input_ids": ids.flip(1)[:, :7]} if config.is_encoder_decoder else {}
    if fields.get("type_vocab_size", 1) > 1:
        more["token_type_ids"] = ids % fields["type_vocab_size"]
    with torch.no_grad():
        wanted = model(ids, **more).logits.double().numpy()
    twin = llmcalc.twin(llmcalc.load({**config.to_dict(), "architectures": [type(model).__name__]}))
    twin.load({name: tensor.numpy() for name, tensor in model.state_dict().items()})
    found = twin.forward(ids.numpy(), **{name: value.numpy() for name, value in more.items()})
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()

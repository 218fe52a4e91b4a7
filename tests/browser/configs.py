"""Configs of ten families as users paste them. Sizes are distinct primes where the class allows."""

from __future__ import annotations

from typing import Any

DENSE = {"hidden_size": 704, "intermediate_size": 1031, "num_hidden_layers": 7, "num_attention_heads": 11,
         "vocab_size": 2003, "max_position_embeddings": 4099, "tie_word_embeddings": False}  # fmt: skip
GROUPED = {**DENSE, "num_key_value_heads": 1, "rms_norm_eps": 1e-6}

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**GROUPED, "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "rope_theta": 10007.0},
    "mistral": {**GROUPED, "architectures": ["MistralForCausalLM"], "hidden_act": "silu", "sliding_window": 1021},
    "mixtral": {**GROUPED, "architectures": ["MixtralForCausalLM"], "num_local_experts": 5, "num_experts_per_tok": 2},
    "qwen2": {**GROUPED, "architectures": ["Qwen2ForCausalLM"], "hidden_act": "silu"},
    "qwen3": {**GROUPED, "architectures": ["Qwen3ForCausalLM"], "head_dim": 64},
    "gemma2": {**GROUPED, "architectures": ["Gemma2ForCausalLM"], "head_dim": 64, "sliding_window": 1021,
               "query_pre_attn_scalar": 64, "tie_word_embeddings": True},
    "phi3": {**GROUPED, "architectures": ["Phi3ForCausalLM"], "pad_token_id": 0},
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "n_embd": 704, "n_head": 11, "n_layer": 7, "n_positions": 1021,
             "vocab_size": 2003},
    "bert": {**DENSE, "architectures": ["BertForMaskedLM"], "type_vocab_size": 2, "max_position_embeddings": 521},
    "t5": {"architectures": ["T5ForConditionalGeneration"], "d_model": 704, "d_kv": 64, "d_ff": 1031, "num_heads": 11,
           "num_layers": 5, "num_decoder_layers": 3, "vocab_size": 2003, "is_encoder_decoder": True},
    "mamba2": {"architectures": ["Mamba2ForCausalLM"], "hidden_size": 704, "num_heads": 22, "head_dim": 64,
               "state_size": 17, "n_groups": 1, "num_hidden_layers": 7, "vocab_size": 2003, "expand": 2,
               "conv_kernel": 3, "chunk_size": 256},
    "deepseek_v3": {**DENSE, "architectures": ["DeepseekV3ForCausalLM"], "moe_intermediate_size": 211,
                    "n_routed_experts": 8, "num_experts_per_tok": 3, "n_shared_experts": 1, "n_group": 4,
                    "topk_group": 2, "first_k_dense_replace": 1, "kv_lora_rank": 97, "q_lora_rank": 89,
                    "qk_nope_head_dim": 37, "qk_rope_head_dim": 22, "v_head_dim": 41, "num_key_value_heads": 11},
}  # fmt: skip


def config(family: str) -> dict[str, Any]:
    """The config of a family with its ``model_type``."""
    return {"model_type": family, **CONFIGS[family]}

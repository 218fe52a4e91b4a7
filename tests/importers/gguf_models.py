"""A tiny model of each GGUF architecture: its metadata, and the config of the class that it was converted from."""

WIDTH, LAYERS, HEADS, KEYS, FEED, VOCAB, HEAD = 52, 3, 4, 2, 37, 101, 13
EXPERTS, CHOSEN, EXPERT, SHARED = 7, 3, 11, 19
COMMON = {
    "block_count": LAYERS, "embedding_length": WIDTH, "feed_forward_length": FEED, "attention.head_count": HEADS,
    "attention.head_count_kv": KEYS, "context_length": 64, "rope.freq_base": 10000.0,
}  # fmt: skip
RMS, LAYER = {"attention.layer_norm_rms_epsilon": 1e-5}, {"attention.layer_norm_epsilon": 1e-5}
WIDE = {"attention.key_length": HEAD, "attention.value_length": HEAD}
CONFIG = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KEYS,
    "intermediate_size": FEED, "vocab_size": VOCAB, "max_position_embeddings": 64, "tie_word_embeddings": False,
}  # fmt: skip
WINDOW = {"attention.sliding_window": 17}
MIXTURE = {"expert_count": EXPERTS, "expert_used_count": CHOSEN}
NARROW = {**MIXTURE, "expert_feed_forward_length": EXPERT}
FEW = {"num_local_experts": EXPERTS, "num_experts_per_tok": CHOSEN}
MANY = {"num_experts": EXPERTS, "num_experts_per_tok": CHOSEN}
LATENT = {
    "attention.q_lora_rank": 23, "attention.kv_lora_rank": 29, "rope.dimension_count": 4, "attention.key_length": 33,
    "attention.value_length": 29, "attention.key_length_mla": 9, "attention.value_length_mla": 6,
    "leading_dense_block_count": 1, "expert_shared_count": 2, "expert_group_count": 1, "expert_group_used_count": 1,
    "expert_gating_func": 2, "expert_weights_scale": 2.5, "expert_weights_norm": True,
}  # fmt: skip
DEEPSEEK = {
    "q_lora_rank": 23, "kv_lora_rank": 29, "qk_rope_head_dim": 4, "qk_nope_head_dim": 5, "v_head_dim": 6,
    "first_k_dense_replace": 1, "n_shared_experts": 2, "n_group": 1, "topk_group": 1, "n_routed_experts": EXPERTS,
    "num_experts_per_tok": CHOSEN, "moe_intermediate_size": EXPERT,
}  # fmt: skip
FULL, LOCAL = "full_attention", "sliding_attention"


def without(data, *keys):
    return {key: value for key, value in data.items() if key not in keys}


NO_KEYS = without(COMMON, "attention.head_count_kv")
ALL_KEYS = {**CONFIG, "num_key_value_heads": HEADS}
OLD = {
    "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "vocab_size": VOCAB, "n_positions": 64, "n_inner": FEED,
    "tie_word_embeddings": True,
}  # fmt: skip
SSM = {
    "block_count": LAYERS, "embedding_length": WIDTH, "feed_forward_length": 0, "attention.head_count": 0,
    "context_length": 64, "ssm.conv_kernel": 3, "ssm.inner_size": 2 * WIDTH, "ssm.state_size": 5, **RMS,
}  # fmt: skip
MAMBA = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "vocab_size": VOCAB, "state_size": 5, "conv_kernel": 3}

# architecture: (metadata, config, whether all lies in a variant of the family that the plain one would not show)
MODELS = {
    "llama": ({**COMMON, **RMS, **WIDE}, {"model_type": "llama", **CONFIG}),
    "llama with experts": ({**COMMON, **RMS, **MIXTURE}, {"model_type": "mixtral", **CONFIG, **FEW}),
    "mistral3": ({**COMMON, **RMS, **WIDE}, {"model_type": "mistral", **CONFIG, "sliding_window": None}),
    "qwen2": ({**COMMON, **RMS}, {"model_type": "qwen2", **CONFIG}),
    "qwen3": ({**COMMON, **RMS, **WIDE}, {"model_type": "qwen3", **CONFIG, "head_dim": HEAD}),
    "qwen2moe": (
        {**COMMON, **RMS, **NARROW, "expert_shared_feed_forward_length": SHARED},
        {"model_type": "qwen2_moe", **CONFIG, **MANY, "moe_intermediate_size": EXPERT,
         "shared_expert_intermediate_size": SHARED, "decoder_sparse_step": 1},
    ),
    "qwen3moe": (
        {**COMMON, **RMS, **WIDE, **NARROW},
        {"model_type": "qwen3_moe", **CONFIG, **MANY, "moe_intermediate_size": EXPERT, "head_dim": HEAD},
    ),
    "qwen3next": (
        {**COMMON, **RMS, **WIDE, **NARROW, "expert_shared_feed_forward_length": SHARED, "ssm.conv_kernel": 3,
         "ssm.state_size": 5, "ssm.group_count": 2, "ssm.time_step_rank": 4, "ssm.inner_size": 28,
         "full_attention_interval": 2},
        {"model_type": "qwen3_next", **CONFIG, **MANY, "moe_intermediate_size": EXPERT, "head_dim": HEAD,
         "shared_expert_intermediate_size": SHARED, "linear_conv_kernel_dim": 3, "linear_key_head_dim": 5,
         "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_value_head_dim": 7,
         "layer_types": ["linear_attention", FULL, "linear_attention"]},
    ),
    "qwen35": (
        {**COMMON, **RMS, **WIDE, "ssm.conv_kernel": 3, "ssm.state_size": 5, "ssm.group_count": 2,
         "ssm.time_step_rank": 4, "ssm.inner_size": 28, "full_attention_interval": 3},
        {"model_type": "qwen3_5_text", **CONFIG, "head_dim": HEAD, "linear_conv_kernel_dim": 3,
         "linear_key_head_dim": 5, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_value_head_dim": 7,
         "layer_types": ["linear_attention", "linear_attention", FULL]},
    ),
    "qwen35moe": (
        {**without(COMMON, "feed_forward_length"), **RMS, **WIDE, **NARROW, "expert_shared_feed_forward_length": SHARED,
         "ssm.conv_kernel": 3, "ssm.state_size": 5, "ssm.group_count": 2, "ssm.time_step_rank": 4,
         "ssm.inner_size": 28, "full_attention_interval": 3},
        {"model_type": "qwen3_5_moe_text", **without(CONFIG, "intermediate_size"), **MANY, "head_dim": HEAD,
         "moe_intermediate_size": EXPERT, "shared_expert_intermediate_size": SHARED, "linear_conv_kernel_dim": 3,
         "linear_key_head_dim": 5, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_value_head_dim": 7,
         "layer_types": ["linear_attention", "linear_attention", FULL]},
    ),
    "gemma": (
        {**COMMON, **RMS, **WIDE}, {"model_type": "gemma", **CONFIG, "head_dim": HEAD, "tie_word_embeddings": True},
    ),
    "gemma2": (
        {**COMMON, **RMS, **WIDE, **WINDOW, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
        {"model_type": "gemma2", **CONFIG, "head_dim": HEAD, "sliding_window": 17, "tie_word_embeddings": True},
    ),
    "gemma3": (
        {**COMMON, **RMS, **WIDE, **WINDOW, "attention.sliding_window_pattern": [True, True, False]},
        {"model_type": "gemma3_text", **CONFIG, "head_dim": HEAD, "sliding_window": 17, "tie_word_embeddings": True,
         "rope_theta": 10000.0, "layer_types": [LOCAL, LOCAL, FULL]},
    ),
    "phi2": ({**NO_KEYS, **LAYER, "rope.dimension_count": 4},
             {"model_type": "phi", **ALL_KEYS, "partial_rotary_factor": 4 / HEAD}),
    "phi3": ({**COMMON, **RMS, **WINDOW, "rope.dimension_count": HEAD, "rope.scaling.original_context_length": 64},
             {"model_type": "phi3", **CONFIG, "sliding_window": 17}),
    "phimoe": ({**COMMON, **LAYER, **MIXTURE},
               {"model_type": "phimoe", **CONFIG, **FEW, "attention_bias": True, "lm_head_bias": True}),
    "starcoder2": ({**COMMON, **LAYER}, {"model_type": "starcoder2", **CONFIG}),
    "starcoder": ({**without(COMMON, "rope.freq_base"), **LAYER, "attention.head_count_kv": 1},
                  {"model_type": "gpt_bigcode", **OLD}),
    "gpt2": ({**without(NO_KEYS, "rope.freq_base"), **LAYER}, {"model_type": "gpt2", **OLD}),
    "gptneox": ({**NO_KEYS, **LAYER, "use_parallel_residual": True},
                {"model_type": "gpt_neox", **without(CONFIG, "num_key_value_heads")}),
    "falcon": ({**COMMON, **LAYER, "attention.head_count_kv": 1},
               {"model_type": "falcon", **without(CONFIG, "num_key_value_heads", "intermediate_size"),
                "ffn_hidden_size": FEED, "bias": False}),
    "falcon with groups": (
        {**COMMON, **LAYER},
        {"model_type": "falcon", **without(CONFIG, "num_key_value_heads", "intermediate_size"), "ffn_hidden_size": FEED,
         "num_kv_heads": KEYS, "new_decoder_architecture": True},
    ),
    "bloom": ({**without(NO_KEYS, "rope.freq_base"), **LAYER, "feed_forward_length": 4 * WIDTH},
              {"model_type": "bloom", "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "vocab_size": VOCAB}),
    "stablelm": ({**COMMON, **LAYER, "rope.dimension_count": 3, "use_parallel_residual": False},
                 {"model_type": "stablelm", **CONFIG, "partial_rotary_factor": 3 / HEAD}),
    "olmo": ({**COMMON, **LAYER}, {"model_type": "olmo", **CONFIG}),
    "olmo2": ({**COMMON, **RMS}, {"model_type": "olmo2", **CONFIG}),
    "olmoe": ({**COMMON, **RMS, **MIXTURE}, {"model_type": "olmoe", **CONFIG, **MANY}),
    "command-r": ({**COMMON, **LAYER, "logit_scale": 0.0625},
                  {"model_type": "cohere", **CONFIG, "tie_word_embeddings": True}),
    "cohere2": ({**COMMON, **LAYER, **WIDE, **WINDOW, "logit_scale": 0.0625},
                {"model_type": "cohere2", **CONFIG, "sliding_window": 17, "head_dim": HEAD, "tie_word_embeddings": True,
                 "layer_types": [LOCAL, LOCAL, LOCAL]}),
    "t5": (
        {**without(COMMON, "attention.head_count_kv", "rope.freq_base"), **RMS, **WIDE, "decoder_start_token_id": 0,
         "attention.relative_buckets_count": 8},
        {"model_type": "t5", "d_model": WIDTH, "num_layers": LAYERS, "num_heads": HEADS, "d_ff": FEED, "d_kv": HEAD,
         "vocab_size": VOCAB, "relative_attention_num_buckets": 8, "feed_forward_proj": "gated-gelu"},
    ),
    "mamba": ({**SSM, "ssm.time_step_rank": 7, "ssm.dt_b_c_rms": False},
              {"model_type": "mamba", **MAMBA, "time_step_rank": 7}),
    "mamba2": ({**SSM, "ssm.time_step_rank": 8, "ssm.group_count": 2},
               {"model_type": "mamba2", **MAMBA, "num_heads": 8, "head_dim": HEAD, "n_groups": 2,
                "tie_word_embeddings": True}),
    "jamba": (
        {**without(COMMON, "rope.freq_base"), **RMS, **MIXTURE, "attention.head_count_kv": [0, KEYS, 0],
         "ssm.conv_kernel": 3, "ssm.inner_size": 2 * WIDTH, "ssm.state_size": 5, "ssm.time_step_rank": 7},
        {"model_type": "jamba", **CONFIG, **MANY, "attn_layer_offset": 1, "attn_layer_period": 4,
         "expert_layer_offset": 0, "expert_layer_period": 2, "mamba_d_conv": 3, "mamba_d_state": 5, "mamba_dt_rank": 7},
    ),
    "deepseek2": ({**COMMON, **RMS, **NARROW, **LATENT, "attention.head_count_kv": 1},
                  {"model_type": "deepseek_v3", **CONFIG, **DEEPSEEK}),
    "gpt-oss": (
        {**COMMON, **RMS, **WIDE, **WINDOW, **MIXTURE, "expert_feed_forward_length": FEED},
        {"model_type": "gpt_oss", **CONFIG, **FEW, "head_dim": HEAD, "sliding_window": 17},
    ),
    "granite": ({**COMMON, **RMS, "attention.scale": 0.5, "embedding_scale": 12.0, "residual_scale": 0.2,
                 "logit_scale": 8.0}, {"model_type": "granite", **CONFIG}),
    "granitemoe": ({**COMMON, **RMS, **MIXTURE}, {"model_type": "granitemoe", **CONFIG, **FEW}),
    "glm4": ({**COMMON, **RMS, **WIDE, "rope.dimension_count": 6},
             {"model_type": "glm4", **CONFIG, "head_dim": HEAD, "attention_bias": True}),
    "glm4moe": (
        {**COMMON, **RMS, **WIDE, **NARROW, "block_count": LAYERS + 1, "nextn_predict_layers": 1,
         "leading_dense_block_count": 1, "expert_shared_count": 2},
        {"model_type": "glm4_moe", **CONFIG, "head_dim": HEAD, "first_k_dense_replace": 1, "n_shared_experts": 2,
         "n_routed_experts": EXPERTS, "num_experts_per_tok": CHOSEN, "moe_intermediate_size": EXPERT},
    ),
    "minimax-m2": ({**COMMON, **RMS, **WIDE, **NARROW, "rope.dimension_count": 6, "feed_forward_length": EXPERT},
                   {"model_type": "minimax_m2", **CONFIG, **FEW, "intermediate_size": EXPERT, "head_dim": HEAD,
                    "rotary_dim": 6}),
    "ernie4_5": ({**COMMON, **RMS}, {"model_type": "ernie4_5", **CONFIG, "head_dim": HEAD}),
    "smollm3": ({**COMMON, **RMS}, {"model_type": "smollm3", **CONFIG}),
    "seed_oss": ({**COMMON, **RMS, **WIDE},
                 {"model_type": "seed_oss", **CONFIG, "head_dim": HEAD, "attention_bias": True}),
    "nemotron": ({**COMMON, **LAYER}, {"model_type": "nemotron", **CONFIG}),
    "arcee": ({**COMMON, **RMS, **WIDE}, {"model_type": "arcee", **CONFIG, "head_dim": HEAD}),
    "exaone4": ({**COMMON, **RMS, **WIDE, **WINDOW},
                {"model_type": "exaone4", **CONFIG, "head_dim": HEAD, "sliding_window": 17,
                 "layer_types": [LOCAL, LOCAL, LOCAL]}),
    "hunyuan-dense": ({**COMMON, **RMS, **WIDE}, {"model_type": "hunyuan_v1_dense", **CONFIG, "head_dim": HEAD}),
    "ernie4_5-moe": (
        {**COMMON, **RMS, **NARROW, "interleave_moe_layer_step": 1, "leading_dense_block_count": 1,
         "expert_shared_count": 2, "expert_shared_feed_forward_length": 2 * EXPERT},
        {"model_type": "ernie4_5_moe", **CONFIG, "moe_num_experts": EXPERTS, "moe_k": CHOSEN,
         "moe_intermediate_size": EXPERT, "moe_layer_start_index": 1, "moe_num_shared_experts": 2},
    ),
    "hunyuan-moe": (
        {**COMMON, **RMS, **WIDE, **MIXTURE, "expert_feed_forward_length": FEED,
         "expert_shared_feed_forward_length": FEED},
        {"model_type": "hunyuan_v1_moe", **CONFIG, "num_experts": EXPERTS, "moe_topk": CHOSEN, "head_dim": HEAD},
    ),
    "lfm2moe": (
        {**without(COMMON, "attention.head_count_kv"), **RMS, **NARROW, "attention.head_count_kv": [0, KEYS, 0],
         "shortconv.l_cache": 3, "leading_dense_block_count": 1, "expert_gating_func": 2},
        {"model_type": "lfm2_moe", **CONFIG, **MANY, "conv_L_cache": 3, "moe_intermediate_size": EXPERT,
         "num_dense_layers": 1, "layer_types": ["conv", FULL, "conv"], "rope_theta": 10000.0,
         "tie_word_embeddings": True},
    ),
    "lfm2": ({**without(COMMON, "attention.head_count_kv"), **RMS, "attention.head_count_kv": [0, KEYS, 0],
              "shortconv.l_cache": 3},
             {"model_type": "lfm2", **CONFIG, "conv_L_cache": 3, "block_auto_adjust_ff_dim": False,
              "layer_types": ["conv", FULL, "conv"], "tie_word_embeddings": True, "rope_theta": 10000.0}),
}  # fmt: skip

"""Config keys that change neither the number of parameters nor what is computed, so that they may be left unread."""

from __future__ import annotations

_LIBRARY = """
    _name_or_path _attn_implementation _commit_hash architectures auto_map chunk_size_feed_forward dtype torch_dtype
    id2label label2id num_labels model_type name_or_path output_attentions output_hidden_states problem_type
    return_dict torchscript transformers_version use_cache use_bfloat16 is_composition gradient_checkpointing
    finetuning_task task_specific_params prefix pruned_heads use_return_dict quantization_config
    unsloth_version unsloth_fixed _from_model_config
"""
_TOKENS = """
    bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id mask_token_id unk_token_id decoder_start_token_id
    forced_bos_token_id forced_eos_token_id begin_suppress_tokens suppress_tokens bad_words_ids tokenizer_class
    image_token_id image_token_index video_token_id vision_start_token_id vision_end_token_id tokenizer_model_type
    num_image_tokens
"""
_GENERATION = """
    max_length min_length do_sample early_stopping num_beams temperature top_k top_p typical_p repetition_penalty
    length_penalty no_repeat_ngram_size num_return_sequences diversity_penalty num_beam_groups remove_invalid_values
    return_dict_in_generate output_scores encoder_no_repeat_ngram_size output_past exponential_decay_length_penalty
"""
_TRAINING = """
    initializer_range initializer_factor init_std init_method attention_dropout attention_probs_dropout_prob
    hidden_dropout hidden_dropout_prob dropout dropout_rate activation_dropout classifier_dropout
    classifier_dropout_prob resid_pdrop embd_pdrop attn_pdrop resid_dropout embedding_dropout embed_dropout
    layerdrop encoder_layerdrop decoder_layerdrop output_dropout
    router_aux_loss_coef router_z_loss_coef output_router_logits router_jitter_noise aux_loss_alpha seq_aux
    router_loss aux_loss_coef rescale_every rescale_prenorm_residual residual_in_fp32 pretraining_tp
    summary_type summary_use_proj summary_activation summary_proj_to_labels summary_first_dropout n_ctx
    time_step_min time_step_max time_step_floor time_step_scale time_step_init_scheme time_step_limit
    use_mamba_kernels use_mambapy use_associative_scan num_logits_to_keep max_window_layers
    router_dtype router_ignore_padding_tokens add_router_probs reorder_and_upcast_attn ep_size
"""
_POSITIONS = """
    rope_theta rope_scaling rope_parameters rope_type rotary_base rope_local_base_freq
    original_max_position_embeddings relative_attention_max_distance
"""
_ARITHMETIC = """
    layer_norm_eps layer_norm_epsilon rms_norm_eps norm_eps norm_epsilon query_pre_attn_scalar scale_embedding
    scale_attn_weights scale_attn_by_inverse_layer_idx scale_embeddings normalize_embedding norm_topk_prob
    routed_scaling_factor scoring_func topk_method rope_interleave moe_shared_expert_overlap
"""

_SWITCHES = """
    add_cross_attention is_decoder is_encoder_decoder tie_encoder_decoder cross_attention_hidden_size tf_legacy_loss
"""

# What older versions of the library wrote into every config; without effect as long as it is off.
SWITCHED_OFF = frozenset(_SWITCHES.split())
IRRELEVANT = frozenset(" ".join((_LIBRARY, _TOKENS, _GENERATION, _TRAINING, _POSITIONS, _ARITHMETIC)).split())

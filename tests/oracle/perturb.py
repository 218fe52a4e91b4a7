"""Tiny configs drawn from a fixed seed: sizes by a key's name, switches flipped; what cannot be built is drawn anew."""

from __future__ import annotations

import random
import re
from typing import Any

from . import reference
from .omni import OMNI, OMNI3

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


def _part(model_type: str, width: int, heads: int, key_heads: int) -> dict[str, Any]:
    """One of several parts whose widths go together."""
    heads_of = {"num_attention_heads": heads, "num_key_value_heads": key_heads}
    return {"model_type": model_type, "hidden_size": width, "intermediate_size": 40, "num_hidden_layers": 2, **heads_of}


def within(model_type: str, text: str, vision: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A model that sees, in one for retrieval."""
    sizes = {"hidden_size": 64, "intermediate_size": 40, "num_hidden_layers": 3, "vocab_size": VOCAB}
    sizes |= {"num_attention_heads": 4, **({} if text == "modernbert" else {"num_key_value_heads": 2})}
    part = {"model_type": text, **sizes, **more}
    return {"vlm_config": {"model_type": model_type, "text_config": part, "vision_config": vision}, "embedding_dim": 11}


SEEN = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}
SEEN_BY_QWEN = {"embed_dim": 32, "hidden_size": 64, "num_heads": 2, "depth": 3, "mlp_ratio": 3}
TEXT: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 40,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "sliding_window": 8,
}
VISION: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
KOSMOS: dict[str, Any] = {
    "vocab_size": VOCAB,
    "embed_dim": 32,
    "ffn_dim": 56,
    "layers": 3,
    "attention_heads": 4,
    "layer_norm_eps": 0.01,
}
TYPES = ["sliding_attention", "full_attention", "sliding_attention"]

# an audio encoder whose hidden layer is a multiple of its width
HEARD = {"hidden_size": 32, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
# what a class needs besides sizes, or where the length of a list goes with a number
FIXED: dict[str, dict[str, Any]] = {
    "apertus1p5": {
        "vision_config": {
            "base_channels": 32,
            "channel_multiplier": [1, 2],
            "num_res_blocks": 1,
            "codebook_size": 11,
            "embed_dim": 5,
            "latent_channels": 7,
            "attn_resolutions": [128],
        },
        "audio_config": {
            "model_type": "wavtokenizer_encoder",
            "num_filters": 4,
            "hidden_size": 9,
            "codebook_dim": 9,
            "codebook_size": 8,
            "upsampling_ratios": [3, 2],
        },
        "image_token_offset": 13,
        "audio_token_offset": 24,
        "image_token_id": 7,
        "audio_token_id": 8,
    },
    "canary": {
        "vocab_size": VOCAB,
        "encoder_config": {
            "model_type": "parakeet_encoder",
            "hidden_size": 32,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "subsampling_conv_channels": 6,
            "num_mel_bins": 24,
            "conv_kernel_size": 5,
            "attention_bias": False,
        },
        "decoder_config": {
            "hidden_size": 32,
            "intermediate_size": 56,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 10,
            "vocab_size": VOCAB,
            "max_position_embeddings": 64,
        },
    },
    "canine": {"num_hash_buckets": 101, "local_transformer_stride": 10, "downsampling_rate": 5},
    "chameleon": {"vocabulary_map": {"<image>": 5, "IMGIMGA": 6, "IMGIMGB": 7}},
    "deepseek_ocr2_text": {"num_hidden_layers": 3, "mlp_layer_types": ["dense", "sparse", "sparse"]},
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 24},
    "ernie4_5_vl_moe_text": {
        "hidden_size": 64,
        "num_attention_heads": 4,
        "moe_intermediate_size": [24, 16],
        "rope_parameters": sections(3, 3, 2),
    },
    "moonshine_streaming": {
        "num_key_value_heads": 4,
        "num_attention_heads": 4,
        "encoder_config": {
            "hidden_size": 24,
            "intermediate_size": 44,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 10,
            "sample_rate": 1000,
            "frame_ms": 7.0,
            "sliding_windows": [[5, 3], [5, 1], [5, 0], [5, 3]],
        },
    },
    "speecht5": {
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "conv_dim": [12, 16, 20],
        "conv_kernel": [10, 3, 4],
        "conv_stride": [5, 2, 2],
        "mask_time_prob": 0.0,
        "encoder_max_relative_position": 20,
        "num_conv_pos_embeddings": 6,
        "num_conv_pos_embedding_groups": 4,
    },
    "kyutai_speech_to_text": {"codec_config": {"model_type": "mimi"}},
    "glm_ocr_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "hunyuan_vl_text": {"head_dim": 16, "num_key_value_heads": 2, "rope_parameters": sections(2, 2, 2, 2)},
    "glmasr": {"audio_config": HEARD},
    "vipllava": {"vision_feature_layer": [-2, 1]},
    "voxtral": {"audio_config": HEARD},
    "phi4_multimodal": {
        "audio_config": {
            "hidden_size": 32,
            "intermediate_size": 40,
            "num_blocks": 2,
            "num_attention_heads": 4,
            "ext_pw_out_channel": 32,
            "depthwise_separable_out_channel": 32,
            "nemo_conv_channels": 12,
        }
    },
    "gemma3": {"tie_word_embeddings": True},
    "granite4_vision": {
        "deepstack_layer_map": [[1, 0], [2, 1]],
        "downsample_rate": "2/4",
        "spatial_target_layers": [0, 1, 0, 1],
        "vision_config": {**VISION, "hidden_size": 64},
    },
    "internvl": {"tie_word_embeddings": False},
    "hyperclovax_vision_v2": {"tie_word_embeddings": False},
    "ovis2": {
        "tie_word_embeddings": False,
        "hidden_size": 64,
        "vocab_size": VOCAB,
        "text_config": {
            "model_type": "qwen2",
            "hidden_size": 64,
            "intermediate_size": 40,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": VOCAB,
        },
    },
    "paddleocr_vl": {"tie_word_embeddings": True},
    "hunyuan_vl": {"tie_word_embeddings": True},
    "lighton_ocr": {"tie_word_embeddings": True},
    "lfm2_vl": {"tie_word_embeddings": True},
    "deepseek_vl": {"tie_word_embeddings": True},
    "llava_next_video": {"tie_word_embeddings": True},
    "aya_vision": {"tie_word_embeddings": True},
    "got_ocr2": {"tie_word_embeddings": True},
    "deepseek_vl_hybrid": {"tie_word_embeddings": True},
    "granite_docling": {"tie_word_embeddings": True},
    "minicpm_ocr": {"tie_word_embeddings": True},
    "lfm3_vl": {"tie_word_embeddings": True},
    "janus": {"tie_word_embeddings": True},
    "mistral3": {"tie_word_embeddings": False},
    "metaclip_2_text_model": {"eos_token_id": 17},
    "pix2struct": {
        "text_config": {
            "hidden_size": 64,
            "num_heads": 4,
            "d_kv": 16,
            "d_ff": 52,
            "num_layers": 2,
            "vocab_size": VOCAB,
            "relative_attention_num_buckets": 8,
        },
        "vision_config": {
            "hidden_size": 64,
            "num_attention_heads": 2,
            "d_kv": 10,
            "d_ff": 44,
            "num_hidden_layers": 3,
            "seq_len": 29,
            "patch_embed_hidden_size": 18,
        },
    },
    "pix2struct_text_model": {"hidden_size": 64, "num_heads": 4, "d_kv": 16},
    "owlvit_text_model": {"max_position_embeddings": 32},
    "owlv2_text_model": {"max_position_embeddings": 32},
    "step3p7": {
        "text_config": {
            "hidden_size": 64,
            "intermediate_size": 40,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "head_dim": 16,
            "num_key_value_heads": 2,
            "moe_intermediate_size": 24,
            "share_expert_dim": 56,
            "vocab_size": VOCAB,
            "num_local_experts": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
        }
    },
    "step3p5": {"num_local_experts": 4, "n_routed_experts": 4},
    "qwen2_vl_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "qwen2_5_vl_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "qwen2_5_omni_text": {"hidden_size": 64, "num_attention_heads": 4, "rope_parameters": sections(2, 3, 3)},
    "paddleocr_vl_text": {"hidden_size": 64, "head_dim": 16, "rope_parameters": sections(2, 3, 3)},
    "blt": {
        "use_cache": False,  # its class cannot make one
        "encoder_hash_byte_group_vocab": 53,
        "cross_attn_k": 3,
        "patcher_config": {**_part("blt_patcher", 24, 2, 1), "vocab_size": 101},
        "encoder_config": {**_part("blt_local_encoder", 32, 4, 2), "cross_attn_k": 3, "cross_attn_all_layers": True},
        "decoder_config": {**_part("blt_local_decoder", 32, 2, 1), "cross_attn_k": 3, "hidden_size_global": 48},
        "global_config": _part("blt_global_transformer", 48, 4, 4),
    },
    "glm5_next_text": {
        "num_hidden_layers": 5,
        "index_kpool": 5,
        "index_topk": 10,
        "layer_types": ["linear_attention", *["indexed_attention"] * 3, "linear_attention"],
        "indexer_types": ["full", "full", "shared", "full", "full"],
        "mlp_layer_types": ["dense", *["sparse"] * 4],
    },
    "mistral_large4_text": {
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "index_topk": 10,
        "no_rope_layers": [1, 1, 0, 1, 0, 1],
        "kv_source_layers": [0, 0, 2, 0, 2, 5],
        "indexer_types": ["full", "shared", "full", "full", "shared", "full"],
    },
    "inkling_text": {
        "num_hidden_layers": 3,
        "rel_extent": 9,
        "layer_types": ["hybrid_sliding", "hybrid", "hybrid_sliding"],
        "mlp_layer_types": ["dense", "sparse", "sparse"],
    },
    "inkling2_text": {
        "num_hidden_layers": 5,
        "n_layers_per_attn_res_block": 2,
        "rel_extent": 9,
        "layer_types": ["hybrid_sliding", "hybrid", "hybrid_sliding", "hybrid_sliding", "hybrid"],
    },
    "inkling2_loop_text": {
        "num_hidden_layers": 7,
        "n_layers_per_attn_res_block": 2,
        "loop_layer_index_start": 2,
        "loop_layer_index_end": 6,
        "loop_gate_rank": 6,
        "layer_types": ["hybrid", *["hybrid_sliding", "hybrid", "hybrid"] * 2],
    },
    "bamba": {"num_hidden_layers": 3, "attn_layer_indices": [1]},
    "cohere_compass_text": {
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        }
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0}, "tie_word_embeddings": False},
    "bros": {"hidden_size": 64},
    "clvp": {
        "text_config": {
            "hidden_size": 128,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "projection_dim": 24,
            "vocab_size": 53,
        },
        "speech_config": {
            "hidden_size": 96,
            "intermediate_size": 44,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "projection_dim": 24,
            "vocab_size": 59,
            "use_attention_bias": True,
        },
        "decoder_config": {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "vocab_size": VOCAB,
            "max_position_embeddings": 64,
            "max_text_tokens": 29,
            "num_mel_attn_blocks": 2,
            "feature_size": 7,
            "n_inner": 56,
            "use_attention_bias": False,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
    },
    "clvp_encoder": {"hidden_size": 128, "num_attention_heads": 2, "projection_dim": 24, "summary_type": "mean"},
    "colmodernvbert": within(
        "modernvbert", "modernbert", SEEN, pad_token_id=0, local_attention=8, cls_token_id=1, sep_token_id=2
    ),
    "colpali": within(
        "paligemma", "gemma", {"model_type": "siglip_vision_model", "vision_use_head": False, **SEEN}, head_dim=16
    ),
    "colqwen2": within("qwen2_vl", "qwen2_vl_text", SEEN_BY_QWEN, rope_parameters=sections(2, 3, 3)),
    "dpr": {"projection_dim": 11},
    "dory": {"num_hidden_layers": 5, "n_input_layers": 1, "n_output_layers": 2, "n_recurrent_loops": 3},
    "dots3_note": {
        "text_config": {
            "vocab_size": VOCAB,
            "hidden_size": 64,
            "intermediate_size": 40,
            "moe_intermediate_size": 24,
            "shared_experts_intermediate_size": 28,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "q_lora_rank": 20,
            "kv_lora_rank": 24,
            "qk_nope_head_dim": 12,
            "qk_rope_head_dim": 8,
            "v_head_dim": 10,
            "index_head_dim": 16,
            "index_n_heads": 2,
            "index_topk": 8,
            "pad_token_id": 3,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        "vision_config": {
            "hidden_size": 24,
            "adapter_in_dim": 24,
            "intermediate_size": 44,
            "moe_intermediate_size": 28,
            "num_attention_heads": 2,
            "patch_size": 4,
            "adapter_out_dim": 64,
            "num_hidden_layers": 4,
            "num_experts_per_tok": 3,
            "num_local_experts": 8,
            "pyramid_num_routed": [-1, 2, 5, 8],
        },
        "audio_config": {
            "hidden_size": 24,
            "adapter_input_size": 24,
            "intermediate_size": 44,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "feature_size": 20,
            "downsample_hidden_size": 6,
            "adapter_out_dim": 64,
        },
        "image_token_id": 7,
        "video_token_id": 8,
        "audio_token_id": 9,
    },
    "emu3": {
        "vocabulary_map": {"<image>": 5, "<|visual token 000000|>": 6, "<|visual token 000001|>": 7},
        "vq_config": {
            "base_channels": 32,
            "channel_multiplier": [1, 2],
            "num_res_blocks": 1,
            "codebook_size": 11,
            "latent_channels": 7,
            "embed_dim": 5,
            "hidden_size": 64,
            "attn_resolutions": [1],
        },
    },
    "esm": {"pad_token_id": 1, "mask_token_id": 32},
    "nemotron_h_omni": {
        "text_config": {
            "model_type": "nemotron_h",
            "vocab_size": VOCAB,
            "hidden_size": 64,
            "intermediate_size": 40,
            "layers_block_type": ["mamba", "attention", "mlp"],
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "mamba_num_heads": 8,
            "mamba_head_dim": 16,
            "ssm_state_size": 16,
            "n_groups": 2,
            "num_nextn_predict_layers": 1,
        },
        "vision_config": {
            "model_type": "radio",
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "mlp_ratio": 3.0,
            "patch_size": 4,
            "max_img_size": 40,
            "num_cls_tokens": 2,
            "num_registers": 3,
            "video_temporal_patch_size": 2,
        },
        "vision_hidden_size": 24,
        "projector_hidden_size": 36,
        "audio_config": {
            "hidden_size": 32,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "subsampling_conv_channels": 6,
            "num_mel_bins": 24,
            "conv_kernel_size": 5,
            "projection_hidden_size": 28,
            "projection_bias": True,
        },
    },
    "evolla": {
        "protein_encoder_config": {
            "vocab_size": 53,
            "hidden_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "intermediate_size": 34,
            "position_embedding_type": "absolute",
            "max_position_embeddings": 37,
        },
        "num_hidden_layers": 5,
        "aligner_num_add_layers": 2,
        "aligner_ffn_mult": 3,
        "resampler_depth": 2,
        "resampler_dim_head": 7,
        "resampler_heads": 3,
        "resampler_num_latents": 5,
        "resampler_ff_mult": 2,
    },
    "florence2": {
        "text_config": {
            "model_type": "bart",
            "vocab_size": VOCAB,
            "d_model": 40,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 52,
            "decoder_ffn_dim": 44,
            "max_position_embeddings": 80,
        },
        "vision_config": {
            "depths": [1, 2, 1],
            "patch_size": [7, 3, 3],
            "patch_stride": [4, 2, 2],
            "patch_padding": [3, 1, 1],
            "patch_prenorm": [False, True, True],
            "embed_dim": [12, 24, 36],
            "num_heads": [2, 4, 6],
            "num_groups": [3, 2, 4],
            "window_size": 3,
            "projection_dim": 40,
            "mlp_ratio": 3.0,
            "qkv_bias": False,
            "max_position_embeddings": 11,
            "max_temporal_embeddings": 5,
        },
        "image_token_id": 7,
    },
    "gpt_neo": {"num_layers": 4, "attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"num_hidden_layers": 3, "layer_types": ["mamba", "attention", "mamba"]},
    "layoutlmv3": {"hidden_size": 48, "coordinate_size": 7, "shape_size": 10},
    "lilt": {"hidden_size": 48},
    "longcat_flash": {"zero_expert_num": 0},
    "lfm2_moe": {"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"]},
    "mamba2": {"hidden_size": 32, "expand": 2, "num_heads": 4, "head_dim": 16},
    "markuplm": {"max_depth": 5},
    "mpnet": {"relative_attention_num_buckets": 32},
    "pp_formulanet": {
        "text_config": {
            "d_model": 40,
            "decoder_layers": 2,
            "decoder_attention_heads": 4,
            "decoder_ffn_dim": 52,
            "vocab_size": VOCAB,
            "max_position_embeddings": 64,
        },
        "vision_config": {
            "hidden_size": 24,
            "output_channels": 20,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 4,
            "window_size": 3,
            "global_attn_indexes": [1],
            "mlp_dim": 52,
            "post_conv_in_channels": 20,
            "post_conv_mid_channels": 28,
            "post_conv_out_channels": 36,
            "decoder_hidden_size": 40,
        },
    },
    "qwen2_5_omni": OMNI,
    "qwen3_omni_moe": OMNI3,
    "qwen2_vl": {
        **along_axes("qwen2_vl_text", tie_word_embeddings=False),
        "vision_config": SEEN_BY_QWEN,
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
    "udop": {"relative_attention_num_buckets": 32},
    "xglm": {"pad_token_id": 7},
    "t5gemma2": {
        "encoder": {
            "text_config": {**TEXT, "num_hidden_layers": 2, "layer_types": TYPES[:2]},
            "vision_config": VISION,
            "mm_tokens_per_image": 4,
            "eoi_token_index": 23,
        },
        "decoder": {**TEXT, "num_hidden_layers": 3, "layer_types": TYPES, "final_logit_softcapping": 3.0},
    },
    "kosmos-2": {
        "text_config": KOSMOS,
        "vision_config": {name: size for name, size in VISION.items() if name != "model_type"},
        "latent_query_num": 4,
    },
    "kosmos-2.5": {
        "text_config": {**KOSMOS, "activation_function": "relu", "scale_embedding": False},
        "vision_config": {
            "hidden_size": 24,
            "patch_embed_hidden_size": 12,
            "d_ff": 20,
            "d_kv": 6,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        },
        "latent_query_num": 4,
    },
    "musicgen": {
        "text_encoder": {
            "model_type": "t5",
            "vocab_size": VOCAB,
            "d_model": 24,
            "d_kv": 10,
            "d_ff": 40,
            "num_layers": 2,
            "num_heads": 2,
        },
        "audio_encoder": {"model_type": "encodec", "num_filters": 4, "hidden_size": 16, "codebook_size": 64},
        "decoder": {
            "vocab_size": 61,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "ffn_dim": 56,
        },
    },
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

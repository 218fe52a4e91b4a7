"""Small configs of Qwen-Omni, with all that speaks."""

from __future__ import annotations

from typing import Any

from ..importers.vision_language_cases import sections

TEXT: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 44, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 101,
    "num_key_value_heads": 1,
}  # fmt: skip
HEARD: dict[str, Any] = {
    "num_mel_bins": 7, "d_model": 24, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 40,
}  # fmt: skip
SEEN: dict[str, Any] = {"depth": 1, "hidden_size": 24, "num_heads": 2, "intermediate_size": 20, "out_hidden_size": 32}
WAV: dict[str, Any] = {
    "dit_config": {
        "hidden_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3, "head_dim": 8, "emb_dim": 11,
        "num_embeds": 13, "mel_dim": 5, "enc_emb_dim": 9, "enc_dim": 6, "enc_channels": [12, 12, 18, 21],
        "enc_kernel_sizes": [5, 3, 7, 1], "enc_dilations": [1, 2, 3, 1], "enc_attention_channels": 4,
        "enc_res2net_scale": 3, "enc_se_channels": 10, "ff_mult": 3,
    },
    "bigvgan_config": {
        "mel_dim": 5, "upsample_initial_channel": 16, "resblock_kernel_sizes": [3, 5],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]], "upsample_rates": [3, 2, 2],
        "upsample_kernel_sizes": [7, 4, 6],
    },
}  # fmt: skip
OMNI: dict[str, Any] = {
    "thinker_config": {
        "audio_config": {**HEARD, "output_dim": 32}, "vision_config": {**SEEN, "fullatt_block_indexes": [0]},
        "text_config": {**TEXT, "rope_parameters": sections(2, 3, 3)},
    },
    "talker_config": {**TEXT, "embedding_size": 20, "head_dim": 10, "vocab_size": 61, "num_hidden_layers": 2},
    "token2wav_config": WAV,
}  # fmt: skip
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
OMNI3: dict[str, Any] = {
    "thinker_config": {
        "audio_config": {**HEARD, "output_dim": 32, "downsample_hidden_size": 5},
        "vision_config": {**SEEN, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]},
        "text_config": {**TEXT, **EXPERTS, "head_dim": 16, "rope_parameters": sections(2, 3, 3)},
    },
    "talker_config": {
        "thinker_hidden_size": 32, "spatial_merge_size": 2,
        "text_config": {
            **TEXT, **EXPERTS, "hidden_size": 20, "shared_expert_intermediate_size": 14, "vocab_size": 61,
            "num_hidden_layers": 2, "head_dim": 8, "attention_bias": True,
        },
        "code_predictor_config": {
            **TEXT, "hidden_size": 20, "vocab_size": 53, "num_code_groups": 4, "num_hidden_layers": 3, "head_dim": 12,
        },
    },
    "code2wav_config": {
        "codebook_size": 11, "num_quantizers": 3, "hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 34, "num_hidden_layers": 2, "upsample_rates": [5, 3], "upsampling_ratios": [2, 3],
        "decoder_dim": 36, "attention_bias": True,
    },
}  # fmt: skip

"""Tensors of modules that text does not execute, against the modules of their classes, for many configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.checkpoint.layouts import BUFFERS
from llmcalc.importers.weights import headers_of
from llmcalc.verification.weights import verify_weights

from . import perturb, reference
from .omni import OMNI, OMNI3, TEXT

pytestmark = pytest.mark.filterwarnings("ignore")

CODES: dict[str, Any] = {
    "base_channels": 32, "channel_multiplier": [1, 3, 2], "num_res_blocks": 2, "latent_channels": 7,
}  # fmt: skip
MAP = {"<image>": 5, "IMGIMGA": 6, "IMGIMGB": 7}
WAVES: dict[str, Any] = {
    "num_filters": 4, "upsampling_ratios": [5, 3, 2], "hidden_size": 22, "codebook_dim": 22, "kernel_size": 5,
    "last_kernel_size": 9, "residual_kernel_size": 7, "num_residual_layers": 2, "num_lstm_layers": 3,
}  # fmt: skip
MIMI: dict[str, Any] = {
    "model_type": "mimi", "num_filters": 4, "hidden_size": 24, "intermediate_size": 26, "num_hidden_layers": 1,
    "num_attention_heads": 4, "upsample_groups": 8, "num_quantizers": 5,
}  # fmt: skip
MOSHI = {**{key: size for key, size in TEXT.items() if key != "intermediate_size"}, "ffn_dim": 44}
MUSIC: dict[str, Any] = {key: perturb.FIXED["musicgen"][key] for key in ("text_encoder", "decoder")}
APERTUS: dict[str, Any] = {
    "text_config": {**TEXT, "pad_token_id": 3}, "image_token_offset": 13, "audio_token_offset": 24, "image_token_id": 7,
    "audio_token_id": 8, "vision_config": {**CODES, "codebook_size": 11, "attn_resolutions": [64], "embed_dim": 5},
}  # fmt: skip
# of each, its class's config; the first word is its type
CASES: dict[str, dict[str, Any]] = {
    "chameleon": {**TEXT, "vocabulary_map": MAP, "vq_config": {**CODES, "embed_dim": 5, "num_embeddings": 13}},
    "chameleon with attention": {**TEXT, "vocabulary_map": MAP, "vq_config": {
        **CODES, "embed_dim": 5, "resolution": 64, "attn_resolutions": [32, 16], "double_latent": True,
        "in_channels": 2,
    }},
    "chameleon without attention": {**TEXT, "vocabulary_map": MAP, "vq_config": {
        **CODES, "attn_type": "none", "resolution": 64, "attn_resolutions": [32],
    }},
    "janus": {"text_config": TEXT, "vq_config": {**CODES, "num_embeddings": 13, "out_channels": 5, "embed_dim": 6}},
    "janus of both halves": {"text_config": TEXT, "vq_config": {
        **CODES, "double_latent": True, "num_res_blocks": 1, "channel_multiplier": [2], "in_channels": 2,
    }},
    "emu3": {"text_config": {**TEXT, "pad_token_id": 3}, "vocabulary_map": MAP, "vq_config": {
        **CODES, "hidden_size": 64, "attn_resolutions": [], "codebook_size": 13, "out_channels": 5,
    }},
    "emu3 with attention": {"text_config": {**TEXT, "pad_token_id": 3}, "vocabulary_map": MAP, "vq_config": {
        **CODES, "hidden_size": 96, "channel_multiplier": [1, 2, 3], "attn_resolutions": [1, 2], "double_latent": True,
        "temporal_downsample_factor": 8, "embed_dim": 5, "in_channels": 2,
    }},
    "apertus1p5": {**APERTUS, "audio_config": {**WAVES, "model_type": "wavtokenizer_encoder", "codebook_size": 8}},
    "apertus1p5 by group norm": {**APERTUS, "audio_config": {
        **WAVES, "model_type": "wavtokenizer_encoder", "codebook_size": 8, "norm_type": "time_group_norm",
        "use_conv_shortcut": False, "compress": 4,
    }},
    "musicgen": {**MUSIC, "audio_encoder": {**WAVES, "model_type": "encodec", "codebook_size": 16}},
    "musicgen by group norm": {**MUSIC, "audio_encoder": {
        **WAVES, "model_type": "encodec", "norm_type": "time_group_norm", "audio_channels": 2, "codebook_dim": None,
        "use_conv_shortcut": False, "target_bandwidths": [2.0, 5.0],
    }},
    "qwen2_5_omni": OMNI,
    "qwen3_omni_moe": OMNI3,
    "kyutai_speech_to_text": {**MOSHI, "audio_pad_token_id": 1, "codec_config": {
        "model_type": "mimi", "num_filters": 4, "upsampling_ratios": [5, 3], "hidden_size": 24, "intermediate_size": 26,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 10,
        "upsample_groups": 8, "num_quantizers": 5, "num_semantic_quantizers": 2, "codebook_size": 16,
        "vector_quantization_hidden_dimension": 14, "codebook_dim": 14, "attention_bias": True, "compress": 4,
    }},
    "kyutai_speech_to_text of all frames": {**MOSHI, "audio_pad_token_id": 1, "codec_config": {
        "model_type": "mimi", "num_filters": 4, "hidden_size": 24, "intermediate_size": 26, "num_hidden_layers": 1,
        "num_attention_heads": 4, "frame_rate": 25, "use_conv_shortcut": True, "num_residual_layers": 2,
        "vector_quantization_hidden_dimension": 24, "codebook_dim": 24, "num_quantizers": 3,
    }},
    "kyutai_speech_to_text of few frames": {**MOSHI, "audio_pad_token_id": 1, "codec_config": {
        "model_type": "mimi", "num_filters": 4, "hidden_size": 24, "intermediate_size": 26, "num_hidden_layers": 1,
        "num_attention_heads": 4, "frame_rate": 6.25, "upsample_groups": 4, "num_quantizers": 3,
    }},
    "moshi as a whole": {**MOSHI, "num_codebooks": 3, "audio_encoder_config": {**MIMI, "codebook_size": 16},
        "depth_decoder_config": {
            "hidden_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 6, "ffn_dim": 14,
    }},
}  # fmt: skip
WHOLE = {"moshi": "MoshiForConditionalGeneration"}  # the classes of others are listed among those of language models


def _class(case: str) -> tuple[str, str]:
    model_type = case.partition(" ")[0]
    return model_type, WHOLE.get(model_type) or next(iter(reference.classes(model_type)))


@pytest.mark.parametrize("case", CASES)
def test_part(case: str) -> None:
    model_type, class_name = _class(case)
    model = reference.build(class_name, model_type, CASES[case])
    architecture = llmcalc.load(reference.plain_config(model, class_name))
    found, wanted = llmcalc.params(architecture), reference.tensors(model)
    ours = dict(found.tensors(layout="transformers"))
    other = [name for name in {**ours, **wanted} if ours.get(name) != wanted.get(name)]
    assert {name: (ours.get(name), wanted.get(name)) for name in other[:6]} == {}
    assert found.total == reference.parameters(model)
    idle = [stack for stack in architecture.stacks if stack.unused]
    assert idle
    assert not any("not counted:" in note for note in architecture.notes)


@pytest.mark.parametrize("case", CASES)
def test_a_saved_checkpoint_is_explained(case: str, tmp_path: Path) -> None:
    model_type, class_name = _class(case)
    model = reference.build(class_name, model_type, CASES[case], device="cpu")
    with reference.quiet():
        model.save_pretrained(tmp_path)
    architecture = llmcalc.load(tmp_path)
    headers = headers_of(architecture)
    assert headers is not None
    found = verify_weights(architecture, headers)
    assert found.ok, found.differences[:6]


@pytest.mark.parametrize("case", CASES)
def test_buffers(case: str) -> None:
    """Tables of codes and statistics of norms, which are stored and no parameters, as tables that are computed are."""
    model_type, class_name = _class(case)
    model = reference.build(class_name, model_type, CASES[case])
    learned = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    saved = {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    kept = sum(tensor.numel() for name, tensor in saved.items() if name not in learned and not name.endswith(BUFFERS))
    architecture = llmcalc.load(reference.plain_config(model, class_name))
    idle = [row for row in llmcalc.params(architecture).rows if row.entry.stack.unused and row.tensor.buffer]
    assert sum(row.size * row.copies for row in idle) == kept

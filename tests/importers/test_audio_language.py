"""Audio encoders: sizes of published ones, numbers of tokens, and invalid configs."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.architecture import Stack
from llmcalc.core.ledger import rows
from llmcalc.core.workload import symbols

TEXT = {
    "hidden_size": 44, "num_hidden_layers": 2, "intermediate_size": 53, "num_attention_heads": 4, "vocab_size": 101,
    "num_key_value_heads": 2,
}  # fmt: skip
ENCODER_OF_WHISPER = 636_968_960  # of Whisper large-v3, without a projector
PARTS = ("conv1", "conv2", "position", "post_norm")


def _audio(config: dict[str, Any]) -> Stack:
    return next(stack for stack in llmcalc.load(config).stacks if stack.name == "audio")


@pytest.mark.parametrize("model_type", ["qwen2_audio", "audioflamingo3", "voxtral"])
def test_the_encoder_of_whisper_large(model_type: str) -> None:
    """The classes' defaults are the sizes of Whisper large-v3."""
    found = rows((_audio({"model_type": model_type, "text_config": TEXT}),))
    own = [row for row in found if row.entry.run is not None or row.entry.name in PARTS]
    assert sum(row.size * row.copies for row in own) == ENCODER_OF_WHISPER


@pytest.mark.parametrize(
    ("model_type", "frames", "tokens"),
    [
        ("qwen2_audio", 3000, 1500),
        ("glmasr", 31, 16),
        ("qwen3_asr", 800, 104),
        ("qwen3_omni_moe_thinker", 137, 13 + 5),
        ("omniasr", 16000, 49),
        ("gemma3n", 101, 26),
        ("fun_asr_nano", 17, 17),
    ],
)
def test_tokens_of_frames(model_type: str, frames: int, tokens: int) -> None:
    """After convolutions with padding, without it, and over separate chunks."""
    assert symbols(_audio({"model_type": model_type}), single_stack=True)["q"](a=frames) == tokens


WRONG = [
    ({"model_type": "voxtral", "audio_config": {"intermediate_size": 5000}}, "is not a multiple of hidden_size"),
    ({"model_type": "qwen3_asr", "audio_config": {"n_window_infer": 50}}, "must be at least twice n_window"),
    ({"model_type": "omniasr", "audio_config": {"conv_stride": [5, 2]}}, "must have the same length"),
    ({"model_type": "omniasr", "audio_config": {"num_conv_pos_embeddings": 7}}, "must be even, not 7"),
    ({"model_type": "granite_speech", "encoder_config": {"context_size": 600}}, "must not exceed max_pos_emb"),
    ({"model_type": "granite_speech", "window_size": 4}, r"downsample_rate \(5\) must not exceed window_size \(4\)"),
    ({"model_type": "granite_speech", "projector_config": {"use_qformer_text_input": True}}, "read text"),
    ({"model_type": "phi4_multimodal", "audio_config": {"time_reduction": 6}}, "must be a power of two, not 6"),
    ({"model_type": "phi4_multimodal", "audio_config": {"ext_pw_out_channel": 512}}, "stream has width 1024"),
    ({"model_type": "fun_asr_nano", "audio_config": {"num_timestamp_prediction_layers": 70}}, "less than the number"),
    ({"model_type": "gemma3n", "audio_config": {"sscp_conv_stride_size": [[1, 1], [2, 2]]}}, "only 2 is supported"),
    ({"model_type": "qwen2_audio", "audio_config": {"n_gates": 3}}, "unknown config key 'n_gates'"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "message"), WRONG)
def test_invalid_configs_are_errors(config: dict[str, Any], message: str) -> None:
    with pytest.raises(llmcalc.InputError, match=message):
        llmcalc.load(config)


def test_unknown_encoders_are_named_and_not_counted() -> None:
    found = llmcalc.load({"model_type": "qwen2_audio", "text_config": TEXT, "audio_config": {"model_type": "other"}})
    assert [stack.name for stack in found.stacks] == ["decoder"]
    assert found.notes[-1].endswith("audio encoder 'other' is not counted")


def test_speech_generation_is_stored_and_not_run() -> None:
    found = llmcalc.load({"model_type": "qwen2_5_omni"})
    assert [stack.name for stack in found.stacks if not stack.unused] == ["decoder", "audio", "vision"]
    assert [stack.name for stack in found.stacks if stack.unused] == ["talker", "token2wav"]
    assert found.notes[-1] == "stored but not counted in FLOPs: the parts that generate speech"

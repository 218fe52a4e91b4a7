"""FLOPs of audio encoders and their projectors, under torch's counter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import llmcalc
from llmcalc.core.errors import InputError

from . import reference

pytestmark = pytest.mark.filterwarnings("ignore")

MELS, POSITIONS = 7, 26  # frequencies, and tokens of an encoder with a learned table
TEXT = {
    "hidden_size": 40, "intermediate_size": 52, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16,
    "num_key_value_heads": 2, "vocab_size": 101, "pad_token_id": 3,
}  # fmt: skip
AUDIO = {"num_mel_bins": MELS, "hidden_size": 24, "intermediate_size": 72, "num_attention_heads": 2}
WAVE = {key: value for key, value in AUDIO.items() if key != "num_mel_bins"}
BART = {
    "num_mel_bins": MELS, "d_model": 24, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 72,
    "max_source_positions": POSITIONS,
}  # fmt: skip
WHISPER = {**AUDIO, "num_hidden_layers": 3, "max_source_positions": POSITIONS}
PLANE = {**BART, "downsample_hidden_size": 5, "output_dim": 40, "n_window": 50, "n_window_infer": 200}
del PLANE["max_source_positions"]


def _features(frames: int) -> Any:
    return torch.zeros(1, MELS, frames)


def _seen(frames: int) -> dict[str, Any]:
    """A batch of one, no frame of which is padding."""
    return {"input_features": _features(frames), "input_features_mask": torch.ones(1, frames, dtype=torch.long)}


def _packed(frames: int) -> dict[str, Any]:
    """The frames of all sequences in a row."""
    return {"input_features": _features(frames), "feature_attention_mask": torch.ones(1, frames, dtype=torch.long)}


def _projected(model: Any, frames: int) -> None:
    heard = model.audio_tower(_features(frames)).last_hidden_state
    model.multi_modal_projector(heard)


def _merged(model: Any, frames: int) -> None:
    heard = model.audio_tower(_features(frames)).last_hidden_state
    model.multi_modal_projector(heard.reshape(1, -1, 2 * 24))


def _pooled(model: Any, frames: int) -> None:
    heard = model.audio_tower(**_seen(frames)).last_hidden_state
    model.multi_modal_projector(heard)


Hear = Callable[[Any, int], Any]
# of each: the types of the language model and of the encoder, its sizes, the whole's, frames, and how it hears
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], tuple[int, ...], Hear]] = {
    "qwen2_audio": ("qwen2", "qwen2_audio_encoder", BART, {}, (52,), _projected),
    "audioflamingo3": ("qwen2", "audioflamingo3_encoder", WHISPER, {}, (52,), _pooled),
    "musicflamingo": ("qwen2", "audioflamingo3_encoder", WHISPER, {}, (52,), _pooled),
    "moss_transcribe_diarize": (
        "qwen3", "moss_transcribe_diarize_audio", WHISPER, {"audio_merge_size": 2}, (52,), _merged,
    ),
    "voxtral": (
        "llama", "voxtral_encoder", {**WHISPER, "max_source_positions": 27}, {}, (54,),
        lambda model, frames: model.get_audio_features(_features(frames)),
    ),
    "voxtral_realtime": (
        "voxtral_realtime_text", "voxtral_realtime_encoder",
        {**AUDIO, "num_hidden_layers": 3, "head_dim": 10, "sliding_window": 5}, {"downsample_factor": 2}, (20, 64),
        lambda model, frames: model.get_audio_features(_features(frames)),
    ),
    "glmasr": (
        "llama", "glmasr_encoder", {**AUDIO, "num_hidden_layers": 3}, {}, (30, 66),
        lambda model, frames: model.get_audio_features(**_seen(frames)),
    ),
    "qwen3_asr": (
        "qwen3", "qwen3_asr_encoder", PLANE, {}, (100, 300, 500),
        lambda model, frames: model.get_audio_features(**_seen(frames)),
    ),
    "omniasr": (
        "llama", "omniasr_audio",
        {**WAVE, "num_hidden_layers": 3, "conv_dim": [5, 6, 7], "conv_kernel": [10, 3, 2], "conv_stride": [5, 2, 2],
         "num_conv_pos_embeddings": 6, "num_conv_pos_embedding_groups": 4},
        {}, (70, 333, 400), lambda model, frames: model.get_audio_features(torch.zeros(1, 1, frames)),
    ),
    "fun_asr_nano": (
        "qwen3", "fun_asr_nano_encoder",
        {**AUDIO, "num_hidden_layers": 5, "num_stacked_frames": 4, "num_timestamp_prediction_layers": 2,
         "fsmn_kernel_size": 5},
        {"adaptor_config": {"hidden_size": 40, "num_attention_heads": 2, "intermediate_size": 10,
                            "projector_hidden_size": 36}},
        (13, 30), lambda model, frames: model.get_audio_features(
            torch.zeros(1, frames, 4 * MELS), torch.ones(1, frames, dtype=torch.long)
        ),
    ),
    "qwen2_5_omni_thinker": (
        "qwen2_5_omni_text", "qwen2_5_omni_audio_encoder",
        {**BART, "max_source_positions": 1500, "n_window": 6, "output_dim": 40},
        {"vision_config": {"depth": 1, "hidden_size": 16, "num_heads": 2, "out_hidden_size": 40}}, (5, 12, 29, 31),
        lambda model, frames: model.get_audio_features(**_packed(frames)),
    ),
    "qwen3_omni_moe_thinker": (
        "qwen3_omni_moe_text", "qwen3_omni_moe_audio_encoder", {**PLANE, "max_source_positions": 1500},
        {"vision_config": {"depth": 1, "hidden_size": 16, "num_heads": 2, "out_hidden_size": 40}}, (37, 100, 530),
        lambda model, frames: model.get_audio_features(**_packed(frames)),
    ),
}  # fmt: skip
CONFORMER = {
    "input_dim": MELS, "num_layers": 3, "hidden_dim": 24, "feedforward_mult": 3, "num_heads": 2, "dim_head": 10,
    "output_dim": 13, "context_size": 8, "max_pos_emb": 9, "conv_kernel_size": 5,
}  # fmt: skip
QFORMER = {
    "model_type": "blip_2_qformer", "hidden_size": 20, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 28, "encoder_hidden_size": 24,
}  # fmt: skip
GRANITE = {
    "text_config": {"model_type": "granite", **TEXT},
    "encoder_config": CONFORMER,
    "projector_config": QFORMER,
    "window_size": 6,
    "downsample_rate": 2,
}
PHI = {
    **TEXT, "audio_config": {
        "hidden_size": 24, "intermediate_size": 44, "num_blocks": 3, "num_attention_heads": 2, "kernel_size": 5,
        "ext_pw_out_channel": 24, "depthwise_separable_out_channel": 24, "input_size": 20, "nemo_conv_channels": 6,
        "nemo_final_size": 3, "bias_max_distance": 7,
    },
    "vision_config": {
        "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
        "patch_size": 14, "crop_size": 28,
    },
}  # fmt: skip
GEMMA = {
    "text_config": {**TEXT, "vocab_size_per_layer_input": 101, "hidden_size_per_layer_input": 12},
    "audio_config": {
        "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "subsampling_conv_channels": [8, 6],
        "conv_kernel_size": 3, "output_proj_dims": 28, "attention_chunk_size": 4, "attention_context_left": 6,
        "attention_context_right": 1,
    },
}  # fmt: skip
STAGES = {"num_filters": 3, "depths": [2, 1, 2], "downsampling_ratios": [2, 5], "hidden_size": 7, "kernel_size": 3}


def _rows(frames: int, width: int) -> Any:
    return torch.zeros(1, frames, width)


def _speech(model: Any, frames: int) -> None:
    between = model.embed_tokens_extend.audio_embed
    heard = between.encoder(_rows(frames, 20), None)
    between.down_proj_for_speech(between.up_proj_for_speech(heard))


CONFORMERS: dict[str, tuple[dict[str, Any], tuple[int, ...], Hear]] = {
    "granite_speech": (GRANITE, (8, 13, 30), lambda model, frames: model.get_audio_features(_rows(frames, MELS))),
    "granite_speech_plus": (
        {**GRANITE, "encoder_config": {**CONFORMER, "cat_hidden_layers": [1]},
         "projector_config": {**QFORMER, "encoder_hidden_size": 48}},
        (13,), lambda model, frames: model.get_audio_features(_rows(frames, MELS)),
    ),
    "vibevoice_asr": (
        {
            "text_config": {"model_type": "qwen2", **TEXT}, "acoustic_tokenizer_encoder_config": STAGES,
            "semantic_tokenizer_encoder_config": {**STAGES, "hidden_size": 10},
        },
        (30, 61), lambda model, frames: model.get_audio_features(torch.zeros(1, 1, frames), sample=False),
    ),
    "phi4_multimodal": (PHI, (40, 77, 4100), _speech),
    "gemma4": (
        GEMMA, (16, 37, 80),
        lambda model, frames: model.get_audio_features(_rows(frames, 8), torch.ones(1, frames, dtype=torch.bool)),
    ),
}  # fmt: skip


def _model(case: str) -> tuple[Any, Any]:
    if case in CONFORMERS:
        changes = CONFORMERS[case][0]
    else:
        text_type, audio_type, audio, more, _, _ = CASES[case]
        text, part = {"model_type": text_type, **TEXT}, {"model_type": audio_type, **audio}
        changes = {"text_config": text, "audio_config": part, **more}
    class_name = reference.classes(case)[0]
    model = reference.build(class_name, case, changes, device="cpu")
    return model, llmcalc.load(reference.plain_config(model, class_name))


@pytest.mark.parametrize("case", [*CASES, *CONFORMERS])
def test_audio_encoder(case: str) -> None:
    model, architecture = _model(case)
    *_, lengths, hear = CONFORMERS.get(case) or CASES[case]
    for frames in lengths:
        with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
            hear(model.model, frames)
        heard, deaf = (
            llmcalc.flops(architecture, batch=1, seq=8, frames=count, convention="torch").matmul
            for count in (frames, 0)
        )
        assert heard - deaf == counter.get_total_flops(), frames


def test_positions_beyond_a_learned_table() -> None:
    _, architecture = _model("qwen2_audio")
    with pytest.raises(InputError, match=r"54 frames give 27 tokens, but .* has only 26 positions"):
        _ = llmcalc.flops(architecture, frames=54).total
    assert llmcalc.flops(architecture, frames=54, extend=True).total


def test_the_audio_encoder_of_a_model_that_cannot_be_built() -> None:
    """Gemma 3n's class needs another library for what it sees; what it hears with is built alone."""
    from transformers.models.gemma3n import modeling_gemma3n as gemma

    audio = {
        "hidden_size": 24, "input_feat_size": 10, "conf_num_attention_heads": 2, "conf_num_hidden_layers": 3,
        "sscp_conv_channel_size": [6, 5], "conf_attention_chunk_size": 4, "conf_attention_context_left": 6,
        "conf_attention_context_right": 1, "conf_reduction_factor": 2,
    }  # fmt: skip
    text = {"hidden_size": 40, "num_hidden_layers": 2, "vocab_size": 101, "intermediate_size": [52, 52]}
    text |= {
        "layer_types": ["full_attention"] * 2,
        "activation_sparsity_pattern": [0.0, 0.0],
        "num_kv_shared_layers": 0,
    }
    config = reference.config_class("gemma3n")(audio_config=audio, text_config=text)
    architecture = llmcalc.load({**config.to_dict(), "architectures": ["Gemma3nForConditionalGeneration"]})
    with reference.quiet():
        tower = gemma.Gemma3nAudioEncoder(config.audio_config).eval()
        between = gemma.Gemma3nMultimodalEmbedder(config.audio_config, config.text_config)
    wanted = {f"model.audio_tower.{name}": shape for name, shape in reference.tensors(tower).items()}
    wanted |= {f"model.embed_audio.{name}": shape for name, shape in reference.tensors(between).items()}
    found = dict(llmcalc.params(architecture).tensors(layout="transformers"))
    assert {name: shape for name, shape in found.items() if "audio" in name} == wanted
    for frames in (16, 45):
        with reference.quiet(), torch.no_grad(), FlopCounterMode(display=False) as counter:
            heard = tower(_rows(frames, 10), torch.zeros(1, frames, dtype=torch.bool)).last_hidden_state
            between(inputs_embeds=heard)
        with_sound, deaf = (
            llmcalc.flops(architecture, seq=8, frames=count, convention="torch").matmul for count in (frames, 0)
        )
        assert with_sound - deaf == counter.get_total_flops(), frames

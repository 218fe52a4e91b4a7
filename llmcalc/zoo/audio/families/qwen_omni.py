"""Qwen-Omni: the thinker, a language model with audio and vision encoders, and the parts that generate speech."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....importers.hf.composite_models import config_at
from ....importers.hf.config import Config
from . import speech_decoders
from .audio_language import read

_IGNORED = """
    enable_audio_output im_start_token_id im_end_token_id tts_pad_token_id tts_bos_token_id tts_eos_token_id
    system_token_id user_token_id assistant_token_id initializer_range tie_word_embeddings
"""
NOTE = "not counted as work: the parts that generate speech, which are stored"


def omni(config: Config) -> Architecture:
    """The thinker, and the talker and vocoder, which text generation does not run."""
    kind = f"{config.model_type}_thinker"
    part = config.nested("thinker_config", {**config_at(config, "thinker_config"), "architectures": None}, kind)
    found = read(part)
    part.check_all_read()
    config.ignore(_IGNORED)
    config.head_kind()
    older = config.model_type == "qwen2_5_omni"
    found = replace(found, layout=f"{'thinker' if older else 'thinker3'}>{found.layout}")
    if not config.flag("enable_audio_output", True):
        config.ignore("talker_config token2wav_config code2wav_config")
        return found
    speech = [*speech_decoders.qwen2_5(config), speech_decoders.token2wav(config)] if older else [
        *speech_decoders.qwen3(config), *speech_decoders.code2wav(config),
    ]  # fmt: skip
    return replace(found, stacks=(*found.stacks, *speech), notes=(*found.notes, NOTE))

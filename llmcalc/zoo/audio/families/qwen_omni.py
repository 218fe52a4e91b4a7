"""Qwen-Omni: a language model that hears and sees (the thinker), and parts that speak, which are stored."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....importers.hf.composite_models import OUTER, given, qwen_tower, text_part
from ....importers.hf.config import Config
from ....importers.hf.vision_encoders import clip as towers
from ..audio_encoders import whisper as ears
from . import speech_decoders

_OUTER = f"""{OUTER}
    image_token_index video_token_index audio_token_index position_id_per_seconds seconds_per_chunk
    audio_start_token_id audio_end_token_id user_token_id initializer_range pad_token_id
"""
_TALKING = """
    enable_audio_output im_start_token_id im_end_token_id tts_pad_token_id tts_bos_token_id tts_eos_token_id
    system_token_id user_token_id assistant_token_id initializer_range tie_word_embeddings
"""
NOTE = "what speaks is stored, and not counted as work"


def thinker(config: Config) -> Architecture:
    """Qwen2.5-Omni's and Qwen3-Omni's language model, its audio encoder and its vision tower."""
    stem = config.model_type.removesuffix("_thinker")
    text = text_part(config, f"{stem}_text", given(config, "text_config"), own_tie=False)
    config.ignore(_OUTER)
    audio = config.nested("audio_config", given(config, "audio_config"), f"{stem}_audio_encoder")
    heard = ears.read(audio)
    vision = config.nested("vision_config", given(config, "vision_config"), f"{stem}_vision_encoder")
    if stem == "qwen2_5_omni":
        seen = towers.qwen2_5(vision)
    else:
        seen = qwen_tower(vision, text.main.d_model)
        vision.ignore(OUTER)
    towers.checked(vision)
    layout = f"{ears.EARS[audio.model_type].layout}>{text.layout}"
    return replace(text, stacks=(*text.stacks, heard, seen), layout=layout)


def omni(config: Config) -> Architecture:
    """The thinker, and what makes sound of its answers, which a text does without."""
    kind = f"{config.model_type}_thinker"
    part = config.nested("thinker_config", {**given(config, "thinker_config"), "architectures": None}, kind)
    found = thinker(part)
    part.check_all_read()
    config.ignore(_TALKING)
    config.head_kind()
    older = config.model_type == "qwen2_5_omni"
    found = replace(found, layout=f"{'thinker' if older else 'thinker3'}>{found.layout}")
    if not config.flag("enable_audio_output", True):
        config.ignore("talker_config token2wav_config code2wav_config")
        return found
    speaks = [*speech_decoders.qwen2_5(config), speech_decoders.token2wav(config)] if older else [
        *speech_decoders.qwen3(config), *speech_decoders.code2wav(config),
    ]  # fmt: skip
    return replace(found, stacks=(*found.stacks, *speaks), notes=(*found.notes, NOTE))

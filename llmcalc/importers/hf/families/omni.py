"""Qwen-Omni: a language model that hears and sees (the thinker), and parts that speak, which are named."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ..config import Config
from . import ears, towers
from .multimodal import OUTER, given, qwen_tower, text_part

_OUTER = f"""{OUTER}
    image_token_index video_token_index audio_token_index position_id_per_seconds seconds_per_chunk
    audio_start_token_id audio_end_token_id user_token_id initializer_range pad_token_id
"""
_TALKING = """
    enable_audio_output im_start_token_id im_end_token_id tts_pad_token_id tts_bos_token_id tts_eos_token_id
    system_token_id user_token_id assistant_token_id initializer_range tie_word_embeddings talker_config
    token2wav_config code2wav_config
"""


def thinker(config: Config) -> Architecture:
    """Qwen2.5-Omni's and Qwen3-Omni's language model, its audio encoder and its vision tower."""
    stem = config.model_type.removesuffix("_thinker")
    text = text_part(config, f"{stem}_text", given(config, "text_config"), own_tie=False)
    config.ignore(_OUTER)
    audio = config.within("audio_config", given(config, "audio_config"), f"{stem}_audio_encoder")
    heard = ears.read(audio)
    vision = config.within("vision_config", given(config, "vision_config"), f"{stem}_vision_encoder")
    if stem == "qwen2_5_omni":
        seen = towers.qwen2_5(vision)
    else:
        seen = qwen_tower(vision, text.main.d_model)
        vision.ignore(OUTER)
    towers.checked(vision)
    layout = f"{ears.EARS[audio.model_type].layout}>{text.layout}"
    return replace(text, stacks=(*text.stacks, heard, seen), layout=layout)


def omni(config: Config) -> Architecture:
    """The thinker; what makes sound of its answers is named, and not counted."""
    kind = f"{config.model_type}_thinker"
    part = config.within("thinker_config", {**given(config, "thinker_config"), "architectures": None}, kind)
    found = thinker(part)
    part.check_all_read()
    config.ignore(_TALKING)
    config.head()
    last = "token2wav" if config.model_type == "qwen2_5_omni" else "code2wav"
    note = f"what speaks is not understood; not counted: talker, {last}"
    notes = (note,) if config.flag("enable_audio_output", True) else ()
    return replace(found, notes=(*found.notes, *notes), layout=f"thinker>{found.layout}")

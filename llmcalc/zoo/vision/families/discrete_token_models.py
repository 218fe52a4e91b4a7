"""Models for whom images and sound are tokens of their own tables, which parts beside them make: Emu3, Apertus 1.5."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Stack
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.seeing import text_config
from ....importers.hf.unexecuted_parts import AUDIO_CODEC_NOTE, IMAGE_TOKENIZER_NOTE, read_parts

_LEFT = f"{OUTER} vocabulary_map image_token_offset audio_token_offset"


def emu3(config: Config) -> Architecture:
    """Emu3 [wang2024emu3]: LLaMA's blocks, and what makes codes of images and films, and images of codes."""
    codes = config.nested("vq_config", given(config, "vq_config"), "emu3_vqgan")
    stacks = read_parts(codes, "vqmodel")
    return _whole(config, text_part(config, "emu3_text_model", text_config(config)), stacks, "emu3")


def apertus(config: Config) -> Architecture:
    """Apertus 1.5: its language model, the encoder of an image's codes, and WavTokenizer's of sound."""
    text = text_part(config, "apertus1p5_text", text_config(config), own_tie=False)
    seen = config.nested("vision_config", given(config, "vision_config"), "apertus1p5_vision_tokenizer")
    heard = config.nested("audio_config", given(config, "audio_config"), "wavtokenizer_encoder")
    return _whole(
        config, text, [*read_parts(seen, "vision_tokenizer"), *read_parts(heard, "audio_tokenizer")], "apertus1p5"
    )


def _whole(config: Config, text: Architecture, parts: list[Stack], layout: str) -> Architecture:
    config.ignore(_LEFT)
    notes = (*text.notes, IMAGE_TOKENIZER_NOTE, *([AUDIO_CODEC_NOTE] if len(parts) > 1 else []))
    return replace(text, stacks=(*text.stacks, *parts), layout=f"{layout}>{text.layout}", notes=notes)

"""Moshi [defossez2024] as a whole: tables of codes, the decoder along the codebooks of a frame, and the codec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture
from ....importers.hf.composite_models import given, plain
from ....importers.hf.config import Config
from ....importers.hf.unexecuted_parts import list_parts, read_parts
from . import moshi_text

NOTE = "codes of sound, the decoder along codebooks and the audio codec are stored, and not counted as work"
SPEAKERS = 2  # the model itself and who speaks to it


def moshi(config: Config) -> Architecture:
    """The language model, whose class for text is read alone, or what stands beside it too."""
    if config.head_kind() != "seq2seq":
        return moshi_text.moshi(config)
    config.override("architectures", None)
    text = moshi_text.moshi(config)
    sound = {"model_type": "mimi", **given(config, "audio_encoder_config")}
    codec = config.nested("audio_encoder_config", sound, str(sound["model_type"]))
    width, books = config.size("hidden_size"), config.size("num_codebooks")
    codes = config.optional_size("audio_vocab_size") or codec.size("codebook_size")
    own: dict[str, Any] = plain(config, "depth_decoder_config")
    sizes = {"audio_vocab_size": codes, "input_size": width, "vocab_size": config.size("vocab_size")}
    own = {**own, **sizes, "num_codebooks": books} if own else {}
    depth = config.nested("depth_decoder_config", own, "moshi_depth")
    own_parts = list_parts(depth, "", "moshi_depth", n_tables=SPEAKERS * books, n_codes=codes, d_model=width)
    depth.check_all_read()
    stacks = (*text.stacks, *own_parts, *read_parts(codec, "audio_encoder"))
    return replace(text, stacks=stacks, layout="moshi_whole", notes=(*text.notes, NOTE))

"""Moshi [defossez2024]: the language model, tables of codes, the depth decoder and the audio codec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture
from ....importers.hf.composite_models import config_at, object_at
from ....importers.hf.config import Config
from ....importers.hf.unexecuted_parts import list_parts, read_parts
from . import moshi_text

NOTE = "not counted as work: audio codes, the depth decoder and the audio codec, which are stored"
SPEAKERS = 2  # the model and the user


def moshi(config: Config) -> Architecture:
    """The language model, and for the class of the whole model, its other parts."""
    if config.head_kind() != "seq2seq":
        return moshi_text.moshi(config)
    config.override("architectures", None)
    text = moshi_text.moshi(config)
    sound = {"model_type": "mimi", **config_at(config, "audio_encoder_config")}
    codec = config.nested("audio_encoder_config", sound, str(sound["model_type"]))
    width, books = config.size("hidden_size"), config.size("num_codebooks")
    codes = config.optional_size("audio_vocab_size") or codec.size("codebook_size")
    own: dict[str, Any] = object_at(config, "depth_decoder_config")
    sizes = {"audio_vocab_size": codes, "input_size": width, "vocab_size": config.size("vocab_size")}
    own = {**own, **sizes, "num_codebooks": books} if own else {}
    depth = config.nested("depth_decoder_config", own, "moshi_depth")
    own_parts = list_parts(depth, "", "moshi_depth", n_tables=SPEAKERS * books, n_codes=codes, d_model=width)
    depth.check_all_read()
    stacks = (*text.stacks, *own_parts, *read_parts(codec, "audio_encoder"))
    return replace(text, stacks=stacks, layout="moshi_whole", notes=(*text.notes, NOTE))

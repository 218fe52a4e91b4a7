"""Language models over text and audio codes: Moshi [defossez2024] and Kyutai's speech-to-text model."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....importers.hf.composite_models import config_at
from ....importers.hf.config import TOKENS, Config, Fields
from ....importers.hf.families.llama_variants import with_token_rows
from ....importers.hf.rules import decoder
from ....layers import Head, Mlp
from ...unexecuted_parts import AUDIO_CODEC_NOTE, list_parts, read_parts

NOTE = "stored but not counted in FLOPs: audio codes, the depth decoder and the audio codec"
SPEAKERS = 2  # the model and the user


def moshi(config: Config) -> Architecture:
    """Build Moshi's language model and, for the full transformers class, the depth decoder and audio codec."""
    if config.head_kind() != "seq2seq":
        return _text(config)
    config.override("architectures", None)
    text = _text(config)
    sound = {"model_type": "mimi", **config_at(config, "audio_encoder_config")}
    codec = config.nested("audio_encoder_config", sound, str(sound["model_type"]))
    width, books = config.d_model, config.size("num_codebooks")
    codes = config.optional_size("audio_vocab_size") or codec.size("codebook_size")
    own: Fields = config.mapping("depth_decoder_config")
    sizes = {"audio_vocab_size": codes, "input_size": width, "vocab_size": config.vocab}
    own = {**own, **sizes, "num_codebooks": books} if own else {}
    depth = config.nested("depth_decoder_config", own, "moshi_depth")
    own_parts = list_parts(depth, "", "moshi_depth", n_tables=SPEAKERS * books, n_codes=codes, d_model=width)
    depth.check_all_read()
    stacks = (*text.stacks, *own_parts, *read_parts(codec, "audio_encoder"))
    return replace(text, stacks=stacks, layout="moshi_whole", notes=(*text.notes, NOTE))


def _text(config: Config) -> Architecture:
    """Return the language model with an additional start token. Gate and up-projections share one matrix."""
    config.ignore("audio_vocab_size num_codebooks audio_encoder_config depth_decoder_config")
    return with_token_rows(_decoder(config, config.lm_head(tied=config.flag("tie_word_embeddings"))), config.vocab + 1)


def kyutai(config: Config) -> Architecture:
    """Build Kyutai's speech-to-text model from Moshi blocks on the sum of text and codebook embeddings."""
    width, vocab = config.d_model, config.vocab
    config.ignore("audio_bos_token_id audio_pad_token_id frame_size")
    bare = config.head_kind() == "none"
    config.override("architectures", ["Model"] if bare else None)
    rows = vocab + config.size("num_codebooks") * config.size("codebook_vocab_size") + 1
    head = Head(rows, width, TOKENS) if config.flag("tie_word_embeddings") else Head(vocab, width)
    found = _decoder(config, head)
    config.add_unmodelled("each position has a text token and a code from every codebook")
    found, sound = with_token_rows(found, rows), {"model_type": "mimi", **config_at(config, "codec_config")}
    codec = read_parts(config.nested("codec_config", sound, str(sound["model_type"])), "codec_model")
    return found if bare else replace(found, stacks=(*found.stacks, *codec), notes=(*found.notes, AUDIO_CODEC_NOTE))


def _decoder(config: Config, head: Head) -> Architecture:
    d_ff = config.size("ffn_dim")
    if d_ff % 2:
        raise config.size_error(f"ffn_dim must be even, not {d_ff}")
    attention = config.attention(bias=False, window=config.sliding_window())
    return decoder(config, attention, Mlp(config.d_model, d_ff // 2, config.activation(), gated=True), head=head)

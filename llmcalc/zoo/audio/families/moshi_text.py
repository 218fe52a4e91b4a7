"""Text models of speech systems by Kyutai: Moshi and speech-to-text."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....importers.hf.composite_models import config_at
from ....importers.hf.config import Config
from ....importers.hf.decoder import decoder
from ....importers.hf.families.llama_variants import with_token_rows
from ....importers.hf.rules import TOKENS, rope_attention, sliding_window
from ....importers.hf.unexecuted_parts import AUDIO_CODEC_NOTE, read_parts
from ....layers import Head, Mlp


def moshi(config: Config) -> Architecture:
    """Moshi's language model as its text class has it: an additional start token; gate and up in one matrix."""
    width, d_ff = config.size("hidden_size"), config.size("ffn_dim")
    config.ignore("audio_vocab_size num_codebooks audio_encoder_config depth_decoder_config")
    if d_ff % 2:
        raise config.size_error(f"ffn_dim must be even, not {d_ff}")
    mlp = Mlp(width, d_ff // 2, config.activation(), gated=True)
    attention = rope_attention(config, bias=False, window=sliding_window(config))
    vocab = config.size("vocab_size")
    head = Head(vocab, width, TOKENS if config.flag("tie_word_embeddings") else None)
    return with_token_rows(decoder(config, attention=attention, mlp=mlp, head=head), vocab + 1)


def kyutai(config: Config) -> Architecture:
    """Kyutai's speech-to-text: Moshi's blocks; the embeddings of text and of all codebooks are added."""
    width, d_ff, vocab = config.size("hidden_size"), config.size("ffn_dim"), config.size("vocab_size")
    config.ignore("audio_bos_token_id audio_pad_token_id frame_size")
    bare = config.head_kind() == "none"
    config.override("architectures", ["Model"] if bare else None)
    if d_ff % 2:
        raise config.size_error(f"ffn_dim must be even, not {d_ff}")
    attention = rope_attention(config, bias=False, window=sliding_window(config))
    mlp = Mlp(width, d_ff // 2, config.activation(), gated=True)
    rows = vocab + config.size("num_codebooks") * config.size("codebook_vocab_size") + 1
    head = Head(rows, width, TOKENS) if config.flag("tie_word_embeddings") else Head(vocab, width)
    found = decoder(config, attention=attention, mlp=mlp, head=head)
    config.add_unmodelled("each position has a text token and a code from every codebook")
    found, sound = with_token_rows(found, rows), {"model_type": "mimi", **config_at(config, "codec_config")}
    codec = read_parts(config.nested("codec_config", sound, str(sound["model_type"])), "codec_model")
    return found if bare else replace(found, stacks=(*found.stacks, *codec), notes=(*found.notes, AUDIO_CODEC_NOTE))

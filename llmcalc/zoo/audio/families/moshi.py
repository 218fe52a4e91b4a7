"""Moshi [defossez2024] as a whole: tables of codes, the decoder along the codebooks of a frame, and the codec."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture
from ....core.errors import SizeError
from ....importers.hf.composite_models import given, plain
from ....importers.hf.config import Config
from ....importers.hf.families import codecs, llama_seen
from ....importers.hf.unexecuted_parts import Tensors, lone, norm, part, table, under

NOTE = "codes of sound, the decoder along codebooks and the audio codec are stored, and not counted as work"
SPEAKERS = 2  # the model itself and who speaks to it


def moshi(config: Config) -> Architecture:
    """The language model, whose class for text is read alone, or what stands beside it too."""
    if config.head_kind() != "seq2seq":
        return llama_seen.moshi(config)
    config.override("architectures", None)
    text = llama_seen.moshi(config)
    sound = {"model_type": "mimi", **given(config, "audio_encoder_config")}
    codec = config.nested("audio_encoder_config", sound, str(sound["model_type"]))
    width, books = config.size("hidden_size"), config.size("num_codebooks")
    codes = config.optional_size("audio_vocab_size") or codec.size("codebook_size")
    own: dict[str, Any] = plain(config, "depth_decoder_config")
    sizes = {"audio_vocab_size": codes, "input_size": width, "vocab_size": config.size("vocab_size")}
    own = {**own, **sizes, "num_codebooks": books} if own else {}
    depth = config.nested("depth_decoder_config", own, "moshi_depth")
    told = part("embed_tokens", _tables(SPEAKERS * books, codes + 1, width))
    along = part("depth_decoder", _depth(depth))
    depth.ignore(_LEFT)
    depth.check_all_read()
    stacks = (*text.stacks, told, along, *codecs.codec(codec, "audio_encoder"))
    return replace(text, stacks=stacks, layout="moshi_whole", notes=(*text.notes, NOTE))


_LEFT = """
    max_position_embeddings hidden_act rms_norm_eps sliding_window attention_dropout is_encoder_decoder
    tie_word_embeddings use_cache initializer_range
"""


def _tables(count: int, rows: int, width: int) -> Tensors:
    for number in range(count):
        yield from table(str(number), rows, width)


def _depth(config: Config) -> Tensors:
    """LLaMA's blocks, with matrices of their own for each codebook; no table follows the last one's codes."""
    width, books, codes = (config.size(key) for key in ("hidden_size", "num_codebooks", "audio_vocab_size"))
    heads, d_ff = config.size("num_attention_heads"), config.size("ffn_dim")
    if d_ff % 2:
        raise SizeError(f"ffn_dim is {d_ff}; it is even", where=config.where)
    d_head = config.optional_size("head_dim") or width // heads
    inner, keys = heads * d_head, (config.optional_size("num_key_value_heads") or heads) * d_head
    yield from table("text_embed_tokens", config.size("vocab_size") + 1, width)
    yield from under("embed_tokens", _tables(books - 1, codes + 1, width))
    yield from _each("input_projections", books, config.size("input_size"), width)
    for number in range(config.size("num_hidden_layers")):
        yield from under(
            f"layers.{number}",
            _each("self_attn.q_proj.linear", books, width, inner),
            _each("self_attn.k_proj.linear", books, width, keys),
            _each("self_attn.v_proj.linear", books, width, keys),
            _each("self_attn.o_proj.linear", books, inner, width),
            _each("mlp.fc1", books, width, d_ff),
            _each("mlp.fc2", books, d_ff // 2, width),
            norm("input_layernorm", width, bias=False),
            norm("post_attention_layernorm", width, bias=False),
        )
    yield from _each("lm_heads", books, width, codes)


def _each(name: str, count: int, d_in: int, d_out: int) -> Tensors:
    """A matrix for each codebook, side by side."""
    return lone(f"{name}.weight", count, d_out, d_in)

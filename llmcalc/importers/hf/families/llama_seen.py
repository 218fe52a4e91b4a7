"""LLaMA's blocks in models of several senses: Molmo 2, Moshi and Chameleon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named
from ....core.errors import DescriptionError, SizeError
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.mlp import Mlp
from ..composite_models import given
from ..config import Config
from ..decoder import decoder
from ..rules import (
    TOKENS,
    gated_mlp,
    lm_head,
    rope_attention,
    sliding_window,
)
from ..unexecuted_parts import AUDIO_CODEC_NOTE, IMAGE_TOKENIZER_NOTE, read_parts


def molmo2(config: Config) -> Architecture:
    """Molmo 2's language model: Qwen3's or OLMo 2's norms, and rows of the token table that no head predicts."""
    config.ignore("rope_scaling_layers")
    bias, whole = config.flag("attention_bias"), config.one_of("qk_norm_type", "qwen3", "olmo") == "olmo"
    attention = rope_attention(config, bias=bias, o_bias=False, qk_norm="projection" if whole else "head")
    place = "post" if config.flag("norm_after") else "pre"
    vocab, width = config.size("vocab_size"), config.size("hidden_size")
    head = Head(vocab, width, TOKENS if config.flag("tie_word_embeddings") else None)
    found = decoder(config, attention=attention, place=place, head=head)
    return _with_table(found, vocab + config.count("additional_vocab_size"))


def moshi(config: Config) -> Architecture:
    """Moshi's language model, as its class for text has it: a token before all others, gate and up in one matrix."""
    width, d_ff = config.size("hidden_size"), config.size("ffn_dim")
    config.ignore("audio_vocab_size num_codebooks audio_encoder_config depth_decoder_config")
    if d_ff % 2:
        raise SizeError(f"ffn_dim is {d_ff}; it is even", where=config.where)
    mlp = Mlp(width, d_ff // 2, config.activation(), gated=True)
    attention = rope_attention(config, bias=False, window=sliding_window(config))
    vocab = config.size("vocab_size")
    head = Head(vocab, width, TOKENS if config.flag("tie_word_embeddings") else None)
    return _with_table(decoder(config, attention=attention, mlp=mlp, head=head), vocab + 1)


def kyutai(config: Config) -> Architecture:
    """Kyutai's speech to text: Moshi's blocks behind one table of text and of all codebooks, whose rows are added."""
    width, d_ff, vocab = config.size("hidden_size"), config.size("ffn_dim"), config.size("vocab_size")
    config.ignore("audio_bos_token_id audio_pad_token_id frame_size")
    bare = config.head_kind() == "none"
    config.override("architectures", ["Model"] if bare else None)
    if d_ff % 2:
        raise SizeError(f"ffn_dim is {d_ff}; it is even", where=config.where)
    attention = rope_attention(config, bias=False, window=sliding_window(config))
    mlp = Mlp(width, d_ff // 2, config.activation(), gated=True)
    rows = vocab + config.size("num_codebooks") * config.size("codebook_vocab_size") + 1
    head = Head(rows, width, TOKENS) if config.flag("tie_word_embeddings") else Head(vocab, width)
    found = decoder(config, attention=attention, mlp=mlp, head=head)
    config.add_unmodelled("a token is one of text and one of each codebook")
    found, sound = _with_table(found, rows), {"model_type": "mimi", **given(config, "codec_config")}
    codec = read_parts(config.nested("codec_config", sound, str(sound["model_type"])), "codec_model")
    return found if bare else replace(found, stacks=(*found.stacks, *codec), notes=(*found.notes, AUDIO_CODEC_NOTE))


def _with_table(found: Architecture, rows: int) -> Architecture:
    """A model whose token table has other rows than its head, and so is one of its own."""
    main = found.main
    own = any(layer.vocab != rows for _, layer in main.outputs if isinstance(layer, Head))

    def changed(entry: Named) -> Named:
        if entry.name != "token" or not isinstance(entry.layer, Embedding):
            return entry
        return Named(entry.name, replace(entry.layer, rows=rows, share=None if own else entry.layer.share))

    return replace(found, stacks=(replace(main, inputs=tuple(map(changed, main.inputs))),))


def chameleon(config: Config) -> Architecture:
    """Chameleon's language model: a LayerNorm with weights of its own on each query and key head; codes of images."""
    config.ignore("model_parallel_size")
    bare = config.head_kind() == "none"
    config.override("architectures", ["Model"] if bare else None)
    norms = {"qk_norm": "per_head", "qk_norm_function": "layernorm", "qk_norm_bias": True, "qk_norm_eps": 1e-5}
    attention, mlp = rope_attention(config, **norms), gated_mlp(config, bias=config.flag("mlp_bias"))  # type: ignore[arg-type]
    place, head = "post" if config.flag("swin_norm") else "pre", lm_head(config, **_image_tokens(config))
    found = decoder(config, attention=attention, mlp=mlp, place=place, head=head)
    codes = config.nested("vq_config", given(config, "vq_config"), "chameleon_vqgan")
    stacks = (*found.stacks, *read_parts(codes, "vqmodel"))
    return replace(found, stacks=stacks, notes=(*found.notes, IMAGE_TOKENIZER_NOTE))


def _image_tokens(config: Config) -> dict[str, Any]:
    """The head's fields for the tokens of images, which its class never predicts."""
    names = config.get("vocabulary_map")
    if names is None:
        return {}
    if not isinstance(names, dict):
        raise DescriptionError("vocabulary_map maps the name of a token to its number", where=config.where)
    found = [config.integer(number, "vocabulary_map", 0) for name, number in names.items() if name.startswith(IMAGE)]
    if not found:
        return {}
    first, last = min(found), max(found)
    if last - first + 1 != len(set(found)):
        config.add_unmodelled("its tokens of images, which are never predicted, do not follow one another")
        return {}
    return {"barred": len(set(found)), "barred_from": first}


IMAGE = "IMGIMG"  # what the names of image tokens begin with

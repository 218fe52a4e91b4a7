"""Qwen-Omni, with a thinker (a language model with audio and vision encoders) and speech generation modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.layer import Layer
from ....importers.hf.composite_models import config_at, nested_config, read_composite
from ....importers.hf.config import Config, Fields, Layers
from ....importers.hf.families import qwen
from ....importers.hf.rules import block, causal_lm, repeat_block
from ....importers.hf.vision_encoders.parts import named
from ....layers import Embedding, Head, Linear
from ...unexecuted_parts import read_parts

_OMNI_IGNORED = """
    enable_audio_output im_start_token_id im_end_token_id tts_pad_token_id tts_bos_token_id tts_eos_token_id
    system_token_id user_token_id assistant_token_id initializer_range tie_word_embeddings
"""
NOTE = "stored but not counted in FLOPs: the parts that generate speech"


def omni(config: Config) -> Architecture:
    """Build Qwen-Omni. The talker and vocoder are stored, but text generation runs only the thinker."""
    kind = f"{config.model_type}_thinker"
    part = config.nested("thinker_config", {**config_at(config, "thinker_config"), "architectures": None}, kind)
    found = read_composite(part)
    part.check_all_read()
    config.ignore(_OMNI_IGNORED)
    config.head_kind()
    older = config.model_type == "qwen2_5_omni"
    found = replace(found, layout=f"{'thinker' if older else 'thinker3'}>{found.layout}")
    if not config.flag("enable_audio_output", True):
        config.ignore("talker_config token2wav_config code2wav_config")
        return found
    speech = [*qwen2_5_talker(config), token2wav(config)] if older else [
        *qwen3_talker(config), *code2wav(config),
    ]  # fmt: skip
    return replace(found, stacks=(*found.stacks, *speech), notes=(*found.notes, NOTE))


_IGNORED = """
    tts_text_start_token_id tts_text_end_token_id tts_text_pad_token_id tts_codec_start_token_id tts_codec_end_token_id
    tts_codec_pad_token_id tts_codec_mask_token_id audio_token_index image_token_index video_token_index
    vision_start_token_id vision_end_token_id position_id_per_seconds seconds_per_chunk audio_start_token_id
    audio_end_token_id spatial_merge_size initializer_range pad_token_id tie_word_embeddings is_encoder_decoder
    codec_eos_token_id accept_hidden_layer codec_nothink_id codec_think_bos_id codec_think_eos_id codec_pad_id
    codec_bos_id audio_token_id image_token_id video_token_id speaker_id output_router_logits architectures
"""


def qwen2_5_talker(config: Config) -> list[Stack]:
    """Build Qwen2.5-Omni's talker [xu2025] with a projection from a wider embedding, followed by Qwen2 blocks."""
    part = nested_config(config, "talker_config", "qwen2_5_omni_talker")
    part.ignore(_IGNORED)
    part.override("tie_word_embeddings", False)
    part.override("architectures", None)
    width, wide, vocab = part.d_model, part.size("embedding_size"), part.vocab
    found = qwen.qwen2(part)
    part.check_all_read()
    inputs = named(codes=Embedding(vocab, wide, table="other"), thought=Linear(wide, width))
    return [_unexecuted(found, "talker", inputs, named(codec_head=Head(vocab, width)))]


def qwen3_talker(config: Config) -> list[Stack]:
    """Build Qwen3-Omni's mixture-of-experts talker [xu2025qwen3], and the predictor for each frame's remaining
    codes.
    """
    part = nested_config(config, "talker_config", "qwen3_omni_moe_talker")
    text = nested_config(part, "text_config", "qwen3_omni_moe_talker_text")
    codes = nested_config(part, "code_predictor_config", _PREDICTOR)
    part.ignore(f"{_IGNORED} num_code_groups")
    stacks = [_mixture(text, part.size("thinker_hidden_size")), _predictor(codes)]
    for each in (text, codes, part):
        each.check_all_read()
    return stacks


_PREDICTOR = "qwen3_omni_moe_talker_code_predictor"


def _mixture(config: Config, thought: int) -> Stack:
    config.ignore(f"{_IGNORED} decoder_sparse_step mlp_only_layers sliding_window router_aux_loss_coef")
    config.ignore("use_sliding_window")
    config.override("architectures", None)
    config.override("tie_word_embeddings", False)
    width, vocab, inner = config.d_model, config.vocab, config.size("intermediate_size")
    bias, act = config.flag("attention_bias"), config.activation()
    mlp = config.experts(shared={"d_ff": config.size("shared_expert_intermediate_size"), "gate": True})
    found = _lm(config, block("sparse", config.rmsnorm(), config.attention(qk_norm="head", bias=bias), mlp))
    inputs = named(codes=Embedding(vocab, width, table="other"))
    for name in ("text", "hidden"):
        inputs += named(**{f"{name}_in": Linear(thought, inner, activation=act), f"{name}_out": Linear(inner, width)})
    return _unexecuted(found, "talker", inputs, named(codec_head=Head(vocab, width)))


def _predictor(config: Config) -> Stack:
    """Return the code predictor, which has a table and a head for each code of a frame except the first."""
    config.ignore(_IGNORED)
    config.override("architectures", None)
    config.override("tie_word_embeddings", False)
    further = config.size("num_code_groups") - 1
    found = qwen.qwen3(config)
    tables: Layers = {f"codes{n}": Embedding(config.vocab, config.d_model, table="other") for n in range(further)}
    heads: Mapping[str, Layer] = {f"code_head{n}": Head(config.vocab, config.d_model) for n in range(further)}
    return _unexecuted(found, "code_predictor", named(**tables), named(**heads))


def token2wav(config: Config) -> Stack:
    """Build Qwen2.5-Omni's vocoder from a diffusion transformer for spectrograms and BigVGAN."""
    vocoder = nested_config(config, "token2wav_config", "qwen2_5_omni_token2wav")
    vocoder.ignore("is_encoder_decoder tie_word_embeddings")
    parts = []
    for key, model_type in (("dit_config", "qwen2_5_omni_dit"), ("bigvgan_config", "qwen2_5_omni_bigvgan")):
        parts += read_parts(nested_config(vocoder, key, model_type), "token2wav")
    vocoder.check_all_read()
    return replace(parts[0], outputs=tuple(entry for part in parts for entry in part.outputs))


def code2wav(config: Config) -> list[Stack]:
    """Build Qwen3-Omni's vocoder."""
    return read_parts(nested_config(config, "code2wav_config", "qwen3_omni_moe_code2wav"), "code2wav")


def _lm(config: Config, repeats: Block) -> Architecture:
    return causal_lm(config, repeat_block(repeats, config.n_layers), config.rmsnorm())


def _unexecuted(found: Architecture, name: str, inputs: list[Named], heads: list[Named]) -> Stack:
    """Return a decoder as an unexecuted stack, replacing its input tables and heads."""
    main = found.main
    norms = [entry for entry in main.outputs if not isinstance(entry.layer, Head)]
    fields: Fields = {"inputs": tuple(inputs), "outputs": (*norms, *heads)}
    return replace(main, name=name, role="tower", unused=True, **fields)

"""Speech recognition models with an audio encoder and text decoder: Speech2Text, Canary and Cohere's transcriber."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named, Stack
from ....core.errors import short_repr
from ....importers.hf.composite_models import config_at
from ....importers.hf.config import TOKENS, Config, Layers
from ....importers.hf.families.seq2seq import Style, class_kind, head, stack
from ....importers.hf.rules import default_layernorm, prenorm_block, repeat_block
from ....layers import Conv, Embedding, FixedTable, Head, Linear, Mlp, Scale
from ....layers.parts.cross import Cross
from ..audio_encoders.conformers import fast_conformer_blocks, fast_conformer_front

NOTHING: Mapping[str, Any] = {}
# Keys of the authors' class of Cohere's transcriber, and those of transformers with the same meaning.
_AUTHORS_ENCODER = {
    "d_model": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads",
    "feat_in": "num_mel_bins", "pos_emb_max_len": "max_position_embeddings", "conv_kernel_size": "conv_kernel_size",
    "subsampling_factor": "subsampling_factor", "subsampling_conv_channels": "subsampling_conv_channels",
}  # fmt: skip
_AUTHORS_DECODER = {
    "hidden_size": "hidden_size", "inner_size": "intermediate_size", "num_layers": "num_hidden_layers",
    "num_attention_heads": "num_attention_heads", "max_sequence_length": "max_position_embeddings",
    "hidden_act": "hidden_act",
}  # fmt: skip
_AUTHORS_FIXED = {
    "self_attention_model": "rel_pos", "untie_biases": True, "subsampling": "dw_striding", "reduction": None,
    "conv_norm_type": "batch_norm", "causal_downsampling": False,
}  # fmt: skip
_AUTHORS_IGNORED = """
    decoding model_defaults preprocessor prompt_defaults prompt_format multitask_metrics_cfg log_prediction
    log_batch_stats use_loss_mask_for_prompt max_seq_len max_audio_clip_s overlap_chunk_second supported_languages
    batch_size sample_rate
"""
STRIDE = 2  # kernel size of every convolution in Speech2Text


def speech_to_text(config: Config) -> Architecture:
    """Build Speech2Text [wang2020s2t] with gated stride-2 convolutions and sinusoidal positions."""
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, computed=True, buffer_bias=False)
    kind = class_kind(config)
    config.ignore("num_conv_layers")
    vocab, width, tied = config.vocab, config.size("d_model"), config.flag("tie_word_embeddings", True)
    kernels = config.layer_indices("conv_kernel_sizes")
    if len(kernels) != config.size("num_conv_layers"):
        said = f"conv_kernel_sizes has {len(kernels)} entries for {config.get('num_conv_layers')} layers"
        raise config.size_error(said)
    d_input, d_conv = (
        config.size("input_feat_per_channel") * config.size("input_channels"),
        config.size("conv_channels"),
    )
    front = []
    for number, taps in enumerate(kernels):
        inner, outer = d_input if number == 0 else d_conv // 2, 2 * width if (number == len(kernels) - 1) else d_conv
        rate = STRIDE ** (len(kernels) - 1 - number)
        layer = Conv(
            inner, outer, config.integer(taps, "conv_kernel_sizes", 1), rate, STRIDE, gated=True, of_data=number == 0
        )
        front.append(Named(f"conv{number}", layer))
    if config.flag("scale_embedding"):
        front.append(Named("scale", Scale(width, factor=width**0.5)))
    encoder = stack(config, style._replace(positions="max_source_positions"), "encoder", front, [])
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    outputs = [head(vocab, width, tied)] if kind == "seq2seq" else []
    decoder = stack(config, style._replace(positions="max_target_positions"), "decoder", [table], outputs)
    return Architecture(config.model_type, (encoder, decoder))


def cohere_asr(config: Config) -> Architecture:
    """Build Cohere's transcriber from a FastConformer, a projection, and a decoder with learned positions.

    In the authors' class, positions are sinusoidal and the head shares the table of tokens.
    """
    is_authors = config.get("transf_decoder") is not None
    if is_authors:
        _read_authors_keys(config)
    encoder = _fast_conformer(config, config.defaults["encoder_config"])
    projection = Named("proj", Linear(encoder.d_model, config.d_model, recomputed_per_step=True))
    fixed = FixedTable() if is_authors else None
    rows = Embedding(config.size("max_position_embeddings"), config.d_model, "position", fixed=fixed)
    return _transcriber(config, config, rows, replace(encoder, outputs=(projection,)))


def _read_authors_keys(config: Config) -> None:
    """Copy the sizes of objects in the authors' class of Cohere's transcriber to the keys of transformers."""
    config.ignore(_AUTHORS_IGNORED)
    encoder, decoder = config.mapping("encoder"), config.mapping("transf_decoder").get("config_dict")
    if not isinstance(decoder, dict):
        raise config.error("transf_decoder must have a config_dict")
    if config.mapping("transf_encoder").get("num_layers"):
        raise config.error("layers between the encoder and the decoder (transf_encoder) are not supported")
    for key, value in _AUTHORS_FIXED.items():
        if encoder.get(key, value) != value:
            raise config.error(f"only {key}: {short_repr(value)} is supported in encoder")
    part = {new: encoder[old] for old, new in _AUTHORS_ENCODER.items() if old in encoder}
    factor, width = encoder.get("ff_expansion_factor"), encoder.get("d_model")
    if factor is not None and width is not None:
        wanted = config.integer(factor, "ff_expansion_factor", 1) * config.integer(width, "d_model", 1)
        part["intermediate_size"] = wanted
    config.override("encoder_config", part)
    for old, new in _AUTHORS_DECODER.items():
        if old in decoder:
            config.override(new, decoder[old])
    entries = config.mapping("head").get("num_classes")
    if entries is not None:
        config.override("vocab_size", entries)
    config.override("tie_word_embeddings", True)


def canary(config: Config) -> Architecture:
    """Build Canary from a FastConformer and a decoder with sinusoidal positions."""
    config.ignore("vocab_size")
    part = config.nested("decoder_config", config.mapping("decoder_config"), "canary_decoder")
    rows, width = part.size("max_position_embeddings"), part.d_model
    encoder = _fast_conformer(config)
    if encoder.d_model != width:
        said = f"the decoder has width {width}, but the encoder has width {encoder.d_model}"
        raise config.size_error(said)
    found = _transcriber(config, part, Embedding(rows, width, "position", fixed=FixedTable("halves")), encoder)
    part.check_all_read()
    return found


def _fast_conformer(outer: Config, usual: Mapping[str, Any] = NOTHING) -> Stack:
    """Return a FastConformer encoder, with config defaults taken from ``usual``."""
    config = outer.nested("encoder_config", {**usual, **config_at(outer, "encoder_config")}, "parakeet_encoder")
    inputs, runs = fast_conformer_front(config, tower=False), fast_conformer_blocks(config)
    config.ignore("is_encoder_decoder tie_word_embeddings")
    config.check_all_read()
    outer.unmodelled += config.unmodelled
    return Stack("encoder", config.d_model, inputs, runs, (), "encoder")


def _transcriber(outer: Config, config: Config, positions: Embedding, encoder: Stack) -> Architecture:
    """Return the full model, with a pre-norm decoder that attends to a FastConformer."""
    outer.ignore("is_encoder_decoder")
    config.ignore("is_encoder_decoder tie_word_embeddings")
    kind, tied = outer.head_kind() or "seq2seq", outer.flag("tie_word_embeddings", True)
    if kind not in ("seq2seq", "none"):
        raise outer.error(f"a {short_repr(kind)} head is not supported")
    width, vocab, norm = (config.d_model, config.vocab, default_layernorm(config.d_model))
    own = config.attention(rope=None)
    layers: Layers = {
        "attention": own,
        "cross_attention": replace(own, causal=False, cross=Cross()),
        "mlp": Mlp(width, config.size("intermediate_size"), config.activation(), bias=True),
    }
    token = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    inputs = (token, Named("position", positions), Named("embedding_norm", norm))
    output = Named("head", Head(vocab, width, TOKENS if tied else None, bias=True))
    outputs = (Named("norm", norm), *((output,) if kind == "seq2seq" else ()))
    blocks = repeat_block(prenorm_block("block", norm, **layers), config.n_layers)
    return Architecture(outer.model_type, (encoder, Stack("decoder", width, inputs, blocks, outputs)))

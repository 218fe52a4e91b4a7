"""Evolla [zhou2025]: blocks as LLaMA's, some with layers that look at a protein, and what reads the protein."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....core.errors import DescriptionError
from ....importers.hf.composite_models import given
from ....importers.hf.config import Config
from ....importers.hf.families import llama
from ....importers.hf.unexecuted_parts import Tensors, linear, lone, norm, part, table, under

NOTE = "what reads a protein, and the layers that look at it, are stored, and not counted as work"
BARE = "EvollaModel"


def evolla(config: Config) -> Architecture:
    """The language model, SaProt [su2023] with a resampler, and a layer of attention behind every few blocks."""
    bare = config.class_name() == BARE
    config.override("architectures", ["Model"] if bare else None)
    config.override("tie_word_embeddings", False)  # the class never ties
    config.ignore("is_decoder add_cross_attention aligner_attention_probs_dropout_prob is_encoder_decoder")
    found = llama.llama(config)
    inner = config.nested("protein_encoder_config", given(config, "protein_encoder_config"), "saprot")
    reads = part("protein_encoder", [
        *under("model", _protein(inner)), *under("sequence_compressor_resampler", _resampler(config, inner)),
    ])  # fmt: skip
    inner.ignore(" ".join(inner.defaults))
    inner.check_all_read()
    looks = part("adapters", _adapters(config, found.main.n_layers))
    return replace(found, stacks=(*found.stacks, reads, looks), notes=(*found.notes, NOTE))


def _protein(config: Config) -> Tensors:
    if config.flag("add_cross_attention") or config.flag("is_decoder"):
        raise DescriptionError("SaProt as a decoder is not modelled", where=config.where)
    width, d_ff = config.size("hidden_size"), config.size("intermediate_size")
    yield from table("embeddings.word_embeddings", config.size("vocab_size"), width)
    if config.flag("emb_layer_norm_before"):
        yield from norm("embeddings.layer_norm", width)
    if config.string("position_embedding_type") == "absolute":
        yield from table("embeddings.position_embeddings", config.size("max_position_embeddings"), width)
    for number in range(config.size("num_hidden_layers")):
        yield from under(
            f"encoder.layer.{number}",
            *(linear(f"attention.self.{name}", width, width) for name in ("query", "key", "value")),
            linear("attention.output.dense", width, width),
            norm("attention.LayerNorm", width),
            linear("intermediate.dense", width, d_ff),
            linear("output.dense", d_ff, width),
            norm("LayerNorm", width),
        )
    yield from norm("encoder.emb_layer_norm_after", width)


def _resampler(config: Config, protein: Config) -> Tensors:
    """Learned queries that look at a protein, and a matrix to the language model."""
    width, out = protein.size("hidden_size"), config.size("hidden_size")
    inner = config.size("resampler_heads") * config.size("resampler_dim_head")
    yield from lone("latents", config.size("resampler_num_latents"), width)
    for number in range(config.size("resampler_depth")):
        yield from under(
            f"layers.{number}.0",
            norm("norm_media", width), norm("norm_latents", width), linear("to_q", width, inner, bias=False),
            linear("to_kv", width, 2 * inner, bias=False), linear("to_out", inner, width, bias=False),
        )  # fmt: skip
        yield from under(f"layers.{number}.1", _feed(width, config.size("resampler_ff_mult")))
    yield from norm("norm", out)
    yield from linear("protein_projector", width, out)


def _feed(width: int, growth: int) -> Tensors:
    yield from norm("norm", width)
    yield from linear("fc1", width, growth * width, bias=False)
    yield from linear("fc2", growth * width, width, bias=False)


def _adapters(config: Config, layers: int) -> Tensors:
    """Attention to what the resampler gives and a feed-forward layer, each with a gate, behind every few blocks."""
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    inner, step = width // heads * heads, max(layers // config.size("aligner_num_add_layers"), 1)
    for number in range(step - 1, layers, step):
        yield from under(
            f"{number}.adapter",
            lone("gate_attention", 1),
            lone("gate_ffw", 1),
            *(linear(name, width, inner) for name in ("query", "key_protein", "value_protein")),
            norm("attention_norm", width, bias=False),
            linear("out_proj", width, width, config.flag("aligner_enable_bias", True)),
            under("ff", _feed(width, config.size("aligner_ffn_mult"))),
        )

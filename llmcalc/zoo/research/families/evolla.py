"""Evolla [zhou2025]: blocks as LLaMA's, some with layers that look at a protein, and what reads the protein."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....core.errors import DescriptionError
from ....importers.hf.composite_models import given
from ....importers.hf.config import Config
from ....importers.hf.families import llama
from ....importers.hf.unexecuted_parts import list_parts, read_parts

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
    if inner.flag("add_cross_attention") or inner.flag("is_decoder"):
        raise DescriptionError("SaProt as a decoder is not supported", where=inner.where)
    (encoder,) = read_parts(inner, "")
    resampler, adapters = list_parts(
        config, "", "evolla", d_protein=inner.size("hidden_size"), n_layers=found.main.n_layers
    )
    encoder = replace(encoder, outputs=(*encoder.outputs, *resampler.outputs))
    return replace(found, stacks=(*found.stacks, encoder, adapters), notes=(*found.notes, NOTE))

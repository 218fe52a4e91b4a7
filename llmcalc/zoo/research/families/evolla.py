"""The Evolla protein-language model [zhou2025] with a LLaMA decoder, a protein encoder, and adapters."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture
from ....importers.hf.composite_models import nested_config
from ....importers.hf.config import Config
from ....importers.hf.families import llama
from ...unexecuted_parts import list_parts, read_parts

NOTE = "stored but not counted in FLOPs: the protein encoder and the adapters that attend to it"
BARE = "EvollaModel"


def evolla(config: Config) -> Architecture:
    """Read an Evolla config with a LLaMA decoder, a SaProt encoder [su2023], a resampler, and adapters."""
    config.override("architectures", ["Model"] if (config.class_name() == BARE) else None)
    config.override("tie_word_embeddings", False)  # the class never ties the head
    config.ignore("is_decoder add_cross_attention aligner_attention_probs_dropout_prob is_encoder_decoder")
    found = llama.llama(config)
    inner = nested_config(config, "protein_encoder_config", "saprot")
    if inner.flag("add_cross_attention") or inner.flag("is_decoder"):
        raise inner.error("SaProt is not supported as a decoder")
    (encoder,) = read_parts(inner, "")
    resampler, adapters = list_parts(config, "", "evolla", d_protein=inner.d_model, n_layers=found.main.n_layers)
    encoder = replace(encoder, outputs=(*encoder.outputs, *resampler.outputs))
    return replace(found, stacks=(*found.stacks, encoder, adapters), notes=(*found.notes, NOTE))

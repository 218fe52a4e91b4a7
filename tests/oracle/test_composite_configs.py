"""The language model within models that are not fully supported, against the same part of the class."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.importers.hf import families
from llmcalc.importers.hf.composite_configs import ENCODED, text_models
from llmcalc.importers.hf.unknown_types import modality

from . import reference

pytestmark = pytest.mark.filterwarnings("ignore")

LANGUAGE = (
    "language_model",
    "text_model",
    "text_decoder",
    "llm",
    "lm_head",
    "projection_head",
    "embed_tokens",
)  # what its tensors stand under
OTHER_HEADS = {"glm_image", "jev"}  # for images and for decisions, where the language model has one for tokens
WHOLES = sorted(set(text_models()) & reference.FAMILIES - set(families.names()) - OTHER_HEADS)


@pytest.mark.parametrize("model_type", WHOLES)
def test_language_part(model_type: str) -> None:
    names = reference.classes(model_type)
    try:
        model = reference.build(names[0], model_type, {})
    except Exception as error:
        pytest.skip(f"{names} cannot be built from its own defaults: {type(error).__name__}: {error}")
    found = llmcalc.params(llmcalc.load(reference.plain_config(model, names[0])))
    assert found.total == sum(_language_tensors(model).values())


def _language_tensors(model: Any) -> dict[str, int]:
    """Elements of every tensor under one of the usual names of a language model, or of all that are left."""
    return {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if name.startswith("decoder.")
        or (any(part in LANGUAGE for part in name.split(".")) and not name.startswith("model.dit."))
    }


ENCODERS = {"vision-encoder-decoder": "vit", "speech-encoder-decoder": "wav2vec2"}
DECODERS: dict[str, dict[str, Any]] = {
    "trocr": {"d_model": 48, "decoder_layers": 2, "decoder_attention_heads": 4, "cross_attention_hidden_size": 768},
    "mbart": {"d_model": 48, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 52},
    "bert": {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 52},
    "gpt2": {"n_embd": 48, "n_layer": 2, "n_head": 4},
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("model_type", ENCODERS)
def test_decoder_behind_an_encoder(model_type: str, decoder: str) -> None:
    role = {"is_decoder": True, "add_cross_attention": True, "vocab_size": 101}
    parts = {
        "encoder": {"model_type": ENCODERS[model_type], "num_hidden_layers": 1},
        "decoder": {"model_type": decoder, **DECODERS[decoder], **role},
    }
    model = reference.build(reference.classes(model_type)[0], model_type, parts)
    found = llmcalc.load(reference.plain_config(model, "EncoderDecoderModel"))
    if model_type == "vision-encoder-decoder":
        assert llmcalc.params(found).total == reference.parameters(model)
        assert not any("not counted: encoder" in note for note in found.notes)
    else:
        assert llmcalc.params(found).total == sum(parameter.numel() for parameter in model.decoder.parameters())
        assert found.notes[-1].endswith("not counted: encoder")


IMAGES: dict[str, dict[str, Any]] = {
    "vit": {"hidden_size": 44, "num_attention_heads": 4, "intermediate_size": 53, "image_size": 91, "patch_size": 13},
    "deit": {
        "hidden_size": 46, "num_attention_heads": 2, "intermediate_size": 61, "image_size": 55, "patch_size": 11,
        "num_channels": 1, "qkv_bias": False, "pooler_output_size": 17,
    },
}  # fmt: skip


@pytest.mark.parametrize("width", [44, 52])
@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_encoder_and_its_projection(kind: str, width: int) -> None:
    role = {"is_decoder": True, "add_cross_attention": True, "vocab_size": 101}
    decoder = {"model_type": "gpt2", "n_embd": width, "n_layer": 2, "n_head": 4, **role}
    parts = {"encoder": {"model_type": kind, "num_hidden_layers": 3, **IMAGES[kind]}, "decoder": decoder}
    model = reference.build("VisionEncoderDecoderModel", "vision-encoder-decoder", parts)
    found = llmcalc.load(reference.plain_config(model, "VisionEncoderDecoderModel"))
    assert llmcalc.params(found).total == reference.parameters(model)


def test_an_encoder_that_is_not_supported_is_noted() -> None:
    parts = {"encoder": {"model_type": "donut-swin"}, "decoder": {"model_type": "gpt2", "n_embd": 44, "n_head": 4}}
    found = llmcalc.load({"model_type": "vision-encoder-decoder", **parts})
    assert found.notes[-1].endswith("not counted: encoder")


def test_types_of_other_modalities_have_no_language_model() -> None:
    mappings = (mapping for mapping in reference.MAPPINGS if mapping is not reference.SPEECH)
    language = {name for mapping in mappings for name in mapping} - set(families.names())
    assert {name for name in language if modality(name)} == set()


# language models, or wholes with one, that are not read
UNREAD = """
    EvollaModel blt_global_transformer blt_local_decoder blt_local_encoder blt_patcher embedding_gemma2
    embedding_gemma2_text flava_multimodal_model muse_glimmer_assistant
    openai_privacy_filter rag sam3_lite_text_text_model t5_gemma_module t5gemma2_decoder t5gemma2_encoder t5gemma2_text
"""


def test_unsupported_types_are_described() -> None:
    known = {*families.names(), *text_models(), *ENCODED, *UNREAD.split()}
    assert {name for name in reference.FAMILIES - known if not modality(name)} == set()


@pytest.mark.parametrize("model_type", ENCODED)
def test_an_encoder_without_a_decoder(model_type: str) -> None:
    with pytest.raises(llmcalc.InputError) as refusal:
        llmcalc.load({"model_type": model_type})
    assert "key decoder must contain the config" in refusal.value.hint

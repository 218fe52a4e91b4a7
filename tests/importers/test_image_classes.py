"""Classes that build only the image encoder of a composite model."""

from __future__ import annotations

import pytest

import llmcalc

SIGLIP = {
    "model_type": "siglip",
    "text_config": {"model_type": "siglip_text_model", "hidden_size": 44, "num_attention_heads": 4},
}


@pytest.mark.parametrize("name", ["SiglipForImageClassification", "SiglipVisionModel"])
def test_a_class_without_the_text_model_is_not_counted_as_its_text_model(name: str) -> None:
    with pytest.raises(llmcalc.InputError, match=f"'{name}' is a model of images, without text"):
        llmcalc.load({**SIGLIP, "architectures": [name]})


@pytest.mark.parametrize("name", ["SiglipModel", "VisionEncoderDecoderModel"])
def test_other_classes_are(name: str) -> None:
    decoder = {"decoder": {"model_type": "gpt2", "n_embd": 44, "n_head": 4, "add_cross_attention": True}}
    config = {"model_type": "vision-encoder-decoder", **decoder} if name.startswith("Vision") else SIGLIP
    assert llmcalc.load({**config, "architectures": [name]}).main.d_model == 44


QWEN_VL = {
    "model_type": "qwen", "architectures": ["QWenLMHeadModel"], "hidden_size": 44, "num_attention_heads": 4,
    "num_hidden_layers": 3, "intermediate_size": 106, "vocab_size": 101, "kv_channels": 11,
}  # fmt: skip
VISUAL = {"heads": 2, "image_size": 28, "layers": 3, "mlp_ratio": 4.5, "output_dim": 44, "patch_size": 14, "width": 26}


def test_an_encoder_that_qwen_vl_adds_is_noted() -> None:
    found = llmcalc.load({**QWEN_VL, "visual": VISUAL})
    assert llmcalc.params(found).total == llmcalc.params(llmcalc.load(QWEN_VL)).total
    assert any(note.endswith("only its language model (qwen) is counted; not counted: visual") for note in found.notes)


def test_an_encoder_that_qwen_audio_adds_is_noted() -> None:
    audio = {"n_ctx": 1500, "n_head": 2, "n_layer": 3, "n_mels": 80, "n_state": 26, "output_dim": 44}
    found = llmcalc.load({**QWEN_VL, "audio": audio})
    assert llmcalc.params(found).total == llmcalc.params(llmcalc.load(QWEN_VL)).total
    assert any(note.endswith("only its language model (qwen) is counted; not counted: audio") for note in found.notes)


@pytest.mark.parametrize("value", [3, {"layers": 3}])
def test_other_values_of_that_key_are_errors(value: object) -> None:
    with pytest.raises(llmcalc.InputError, match="unknown config key 'visual'"):
        llmcalc.load({**QWEN_VL, "visual": value})

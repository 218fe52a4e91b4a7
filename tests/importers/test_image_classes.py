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

"""Multimodal models run on text alone, with the weights of their towers accepted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import llmcalc
from llmcalc.core.errors import InputError, UnknownNameError, UnsupportedError

TEXT = {"model_type": "llama", "vocab_size": 61, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 3}
TEXT |= {"num_attention_heads": 4, "num_key_value_heads": 2}
VISION = {"model_type": "clip_vision_model", "hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 2}
VISION |= {"num_attention_heads": 2, "image_size": 8, "patch_size": 4}
WHOLE = {"model_type": "llava", "text_config": TEXT, "vision_config": VISION}
IDS = np.array([[3, 7, 1, 9, 2]])


def _weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    tensors = llmcalc.params(llmcalc.load(WHOLE)).tensors(layout="transformers")
    return {name: 0.1 * rng.standard_normal(shape) for name, shape in tensors}


def test_text_alone_gives_the_logits_of_the_language_model() -> None:
    whole, alone = llmcalc.twin(llmcalc.load(WHOLE)), llmcalc.twin(llmcalc.load(TEXT))
    weights = _weights()
    whole.load(weights)
    inner = {name.replace("language_model.", ""): array for name, array in weights.items() if "vision" not in name}
    alone.load({name: array for name, array in inner.items() if "projector" not in name})
    assert np.allclose(whole.forward(IDS), alone.forward(IDS), atol=1e-12)


@pytest.mark.parametrize("name", ["model.vision_tower.encoder.layers.2.mlp.fc1.weight", "model.vision_tower.extra"])
def test_unexpected_tower_tensors_are_an_error(name: str) -> None:
    with pytest.raises(UnknownNameError, match=name.rpartition("tower.")[2]):
        llmcalc.twin(llmcalc.load(WHOLE)).load({**_weights(), name: np.zeros((2, 2))})


IMAGE = 5  # the id of tokens whose places an image takes
SEEN = np.array([[3, 5, 5, 5, 5, 9, 2]])
PIXELS = np.random.default_rng(2).standard_normal((1, 4, 3, 4, 4))


def test_image_vectors_replace_placeholder_tokens() -> None:
    whole, alone = llmcalc.twin(llmcalc.load(WHOLE)), llmcalc.twin(llmcalc.load(TEXT))
    weights = _weights()
    whole.load(weights)
    (vectors,) = whole.see(PIXELS)
    found = whole.forward(SEEN, pixels=PIXELS, image_token_id=IMAGE)
    inner = {name.replace("language_model.", ""): array for name, array in weights.items() if "vision" not in name}
    inner = {name: array for name, array in inner.items() if "projector" not in name}
    table = next(name for name in inner if "embed_tokens" in name)
    inner[table] = inner[table].copy()
    inner[table][[50, 51, 52, 53]] = vectors[0]
    alone.load(inner)
    assert np.allclose(found, alone.forward(np.array([[3, 50, 51, 52, 53, 9, 2]])), atol=1e-12)


def test_image_vectors_must_fit_the_placeholder_tokens() -> None:
    whole = llmcalc.twin(llmcalc.load(WHOLE))
    with pytest.raises(InputError, match="4 image vectors of width 24 do not fit"):
        whole.forward(SEEN[:, 1:4], pixels=PIXELS, image_token_id=IMAGE)
    with pytest.raises(InputError, match="image_token_id is missing"):
        whole.forward(SEEN, pixels=PIXELS)
    stacks = tuple(replace(stack, replaces_placeholder_tokens=False) for stack in llmcalc.load(WHOLE).stacks)
    with pytest.raises(UnsupportedError, match="does not implement how"):
        llmcalc.twin(replace(llmcalc.load(WHOLE), stacks=stacks)).forward(SEEN, pixels=PIXELS, image_token_id=IMAGE)

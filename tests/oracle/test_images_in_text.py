"""An image within a text: encoder and language model together give the logits of transformers' classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import llmcalc
from llmcalc.core.errors import InputError, UnsupportedError

from ..importers import vision_language_cases
from . import exact, reference, test_vision_encoders, test_vision_language

pytestmark = pytest.mark.filterwarnings("ignore")

TOLERANCE, MARK = 1e-9, 7
SMALL = ("got_ocr2", "blip-2", "qianfan_ocr", "lighton_ocr", "deepseek_vl")
LARGE = ("llava", "vipllava", "internvl", "mistral3", "idefics3", "smolvlm")


def built(model_type: str) -> tuple[Any, Any, dict[str, Any], Any]:
    """A class, an image as patches and as it takes it, and the twin."""
    if model_type in SMALL:
        changes = vision_language_cases.config(model_type)
        del changes["model_type"]
        patches, given = test_vision_language._image(vision_language_cases.CASES[model_type][-1])
    else:
        changes, (patches, given) = test_vision_encoders._changes(model_type), test_vision_encoders._image(model_type)
    class_name = reference.classes(model_type)[0]
    model = exact.model(class_name, model_type, {**changes, "image_token_id": MARK})
    twin = llmcalc.twin(llmcalc.load(reference.plain_config(model, class_name)))
    twin.load(exact.weights(model))
    return model, patches.numpy()[None], given, twin


@pytest.mark.parametrize("model_type", [*SMALL, *LARGE])
def test_logits(model_type: str) -> None:
    with reference.quiet(), exact.float64(), torch.no_grad():
        model, pixels, given, twin = built(model_type)
        (vectors,) = twin.see(pixels)
        text = torch.randint(10, 60, (1, 9), generator=torch.Generator().manual_seed(1))
        ids = torch.cat([text[:, :4], torch.full((1, vectors.shape[1]), MARK), text[:, 4:]], dim=1)
        wanted = model(input_ids=ids, **given).logits.numpy()
    found = twin.forward(ids.numpy(), pixels=pixels, image_token_id=MARK)
    assert exact.difference(found, wanted) <= TOLERANCE
    assert not np.allclose(found, twin.forward(ids.numpy()))


def test_an_image_needs_as_many_tokens_as_it_has_vectors() -> None:
    with reference.quiet(), exact.float64(), torch.no_grad():
        _, pixels, _, twin = built("got_ocr2")
    with pytest.raises(InputError, match="do not fit the placeholder tokens"):
        twin.forward(np.full((1, 3), MARK), pixels=pixels, image_token_id=MARK)
    with pytest.raises(InputError, match="image_token_id is missing"):
        twin.forward(np.full((1, 4), MARK), pixels=pixels)


def test_models_that_use_images_otherwise_are_refused() -> None:
    with reference.quiet(), exact.float64(), torch.no_grad():
        _, pixels, _, twin = built("qwen2_vl")
    with pytest.raises(UnsupportedError, match="does not implement how"):
        twin.forward(np.full((1, 4), MARK), pixels=pixels, image_token_id=MARK)

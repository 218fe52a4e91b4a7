"""The language model within models that are not understood as a whole, against the same part of the class."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.importers.hf import families
from llmcalc.importers.hf.wholes import USUAL

from . import reference

pytestmark = pytest.mark.filterwarnings("ignore")

LANGUAGE = (
    "language_model",
    "text_model",
    "llm",
    "lm_head",
    "projection_head",
    "embed_tokens",
)  # what its tensors stand under
OTHER_HEADS = {"glm_image", "jev"}  # for images and for decisions, where the language model has one for tokens
WHOLES = sorted(set(USUAL) & reference.FAMILIES - set(families.names()) - OTHER_HEADS)


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
    """Elements of every tensor that stands under one of the usual names of a language model."""
    return {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if any(part in LANGUAGE for part in name.split("."))
    }

"""The shipped class defaults are those of the installed transformers."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from . import export_defaults, reference

SHIPPED = {file.name.removesuffix(".json"): file for file in files("llmcalc").joinpath("data", "hf").iterdir()}

# read before any test builds a model, by which some classes change defaults of the parts within them
FOUND = {
    name: export_defaults.as_text(export_defaults.class_defaults(name))
    for name in set(SHIPPED) & (reference.FAMILIES | set(export_defaults.PARTS))
}


@pytest.mark.parametrize("model_type", sorted(FOUND))
def test_shipped_defaults(model_type: str) -> None:
    shipped: dict[str, Any] = json.loads(SHIPPED[model_type].read_text("utf-8"))
    found = json.loads(FOUND[model_type])
    assert shipped["aliases"] == found["aliases"]
    assert shipped["defaults"] == found["defaults"]

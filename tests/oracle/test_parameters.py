"""Stored tensors and counts of every family, against models built on torch's meta device."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError, UnsupportedError

from . import reference
from .families import cases, variants

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(("model_type", "class_name"), cases(headless=True))
def test_stored_tensors(model_type: str, class_name: str) -> None:
    compared = 0
    for changes in variants(model_type, class_name):
        try:
            model = reference.build(class_name, model_type, changes)
        except Exception:
            assert not changes, changes  # some classes cannot be built from their own defaults
            continue
        try:
            _compare(model, reference.plain_config(model, class_name), changes)
        except UnsupportedError as refusal:
            pytest.skip(str(refusal))
        except InputError as refusal:  # sizes that contradict each other; then the class must not run either
            if not changes or reference.runs(class_name, model_type, changes):
                pytest.fail(f"refused, and yet it runs: {refusal}")
            continue
        sparse = {"model_type": model_type, "architectures": [class_name], **changes}
        assert llmcalc.params(llmcalc.load(sparse)).total == sum(p.numel() for p in model.parameters()), changes
        compared += 1
    if not compared:
        pytest.skip(f"{class_name} cannot be built here")


def _compare(model: Any, config: dict[str, Any], changes: dict[str, Any]) -> None:
    found = llmcalc.params(llmcalc.load(config))
    assert _differences(dict(found.tensors(layout="transformers")), reference.tensors(model)) == {}, changes
    assert found.total == sum(parameter.numel() for parameter in model.parameters()), changes
    table = reference.embedding(model)
    if table is not None:
        assert found.embedding == table, changes


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """What is missing, too much or of another shape: (found, wanted) by name, the first few."""
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    return {name: (found.get(name), wanted.get(name)) for name in names[:6]}

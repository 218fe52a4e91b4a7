"""The table of model families: every entry names a function that exists, and no type stands in two tables."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

import pytest

from llmcalc.core.zoo_search import find_module
from llmcalc.importers.hf import families


@pytest.mark.parametrize("model_type", families.names())
def test_every_family_has_its_function(model_type: str) -> None:
    family = families.find(model_type)
    assert family is not None
    module = find_module("families", family.module, parent="importers/hf")
    assert module is not None
    assert callable(getattr(import_module(module), family.function))


def test_no_type_is_listed_twice() -> None:
    assert [name for name, count in Counter(families.names()).items() if count > 1] == []


def test_an_unknown_type() -> None:
    assert families.find("no_such_type") is None

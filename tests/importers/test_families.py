"""The table of model families: every entry names a function that exists, and no type stands in two tables."""

from __future__ import annotations

from collections import Counter
from importlib import import_module

import pytest

import llmcalc
from llmcalc.core.zoo_search import find_module
from llmcalc.importers.hf import families

INVALID = {  # families whose class defaults do not describe a model, although no size is missing
    "aya_vision", "deepseek_ocr2", "gemma4_assistant", "granite4_vision", "kimi_k3", "lfm2_moe", "minimax_m1",
    "minimax_text_01", "openelm", "reformer",
}  # fmt: skip


@pytest.mark.parametrize("model_type", families.names())
def test_every_family_has_its_function(model_type: str) -> None:
    family = families.find(model_type)
    assert family is not None
    module = find_module("families", family.module, parent="importers/hf")
    assert module is not None
    assert callable(getattr(import_module(module), family.function))


@pytest.mark.parametrize("model_type", families.names())
def test_the_defaults_of_a_family_describe_a_model_or_lack_a_size(model_type: str) -> None:
    try:
        found = llmcalc.load({"model_type": model_type})
    except llmcalc.InputError as error:
        assert model_type in INVALID or str(error).endswith(" is missing")  # noqa: PT017
    else:
        assert model_type not in INVALID
        assert 0 < llmcalc.params(found.shrink()).total < llmcalc.params(found).total


def test_no_type_is_listed_twice() -> None:
    assert [name for name, count in Counter(families.names()).items() if count > 1] == []


def test_an_unknown_type() -> None:
    assert families.find("no_such_type") is None

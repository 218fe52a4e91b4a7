"""Every quantity is complete: measured, explained, swept, aimed at and compared by what its file says."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llmcalc
from llmcalc.api.compare import compared
from llmcalc.api.quantity import Quantity, names, quantity, swept, targets

MODELS = ("gpt2", "gpt-oss-20b", "t5-small")
SETTINGS: dict[str, dict[str, Any]] = {"train": {"tokens": 10**9}}


def test_the_quantities_of_the_documentation_are_found() -> None:
    assert {"params", "active", "flops", "state", "memory", "traffic", "communication", "train"} <= set(names())
    assert all(quantity(name).name == name for name in names())
    with pytest.raises(llmcalc.UnknownNameError, match="did you mean flops"):
        quantity("flop")


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("model", MODELS)
def test_a_quantity_is_complete(name: str, model: str) -> None:
    found, architecture = quantity(name), llmcalc.load(model)
    result = found.measure(architecture, {**SETTINGS.get(name, {})})
    json.dumps(result.to_dict(), default=str)
    tree = found.tree(result)
    assert tree.value == sum(child.value for child in tree.children)
    values = {part: getattr(result, part) for part in found.parts}
    assert all(
        isinstance(value, int) and unit for value, unit in zip(values.values(), found.parts.values(), strict=True)
    )
    if found.target:
        assert isinstance(found.target(result), int)
    _check_forms(found, result, values)


def _check_forms(found: Quantity, result: Any, values: dict[str, int]) -> None:
    for part, value in values.items():
        form, divisor = found.form(result, part) or (None, 1)
        if form is not None:
            symbols = result.workload.values(result.architecture) if hasattr(result, "workload") else {}
            assert form(**symbols) == divisor * value, part


def test_functions_read_the_list() -> None:
    assert {name.partition(".")[0] for name in swept()} == {name for name in names() if quantity(name).parts}
    values = llmcalc.compare("gpt2", "gpt2").costs[0].tables
    assert [cost.unit for cost in values] == [each.unit for each in compared()]
    for name in targets():
        limit: dict[str, Any] = {f"max_{name}": 1}
        checked = llmcalc.check("gpt2", select=["HW005"], seq=7, **limit)
        assert [each.kept for each in checked.limits] == [False], name
        negative: dict[str, Any] = {name: "-1"}
        with pytest.raises(llmcalc.InputError, match=name):
            llmcalc.design("llama3", **negative)

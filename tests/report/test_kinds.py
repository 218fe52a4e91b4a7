"""What ``presets kinds`` says of every kind."""

from __future__ import annotations

from dataclasses import fields

import pytest

from llmcalc.layers import ALIASES, find, names
from llmcalc.report.kinds import kind_document, kinds_document


@pytest.mark.parametrize("name", names())
def test_every_field_of_a_kind_has_a_meaning(name: str) -> None:
    document = kind_document(name)
    result = document.data()["result"]
    assert list(result["fields"]) == [field.name for field in fields(find(name)[0])]
    for part in (result, *result["parts"].values()):
        assert part["description"]
        assert [field for field, entry in part["fields"].items() if not entry["meaning"]] == []
    assert len(document.tables) == 1 + sum(bool(part["fields"]) for part in result["parts"].values())


def test_all_kinds_and_functions_are_listed() -> None:
    result = kinds_document().data()["result"]
    assert {*result["kinds"], *result["aliases"]} == {*names()}
    assert result["aliases"].keys() == ALIASES.keys()
    assert all(result["kinds"].values())
    assert result["functions"]["softmax"]


def test_required_fields_and_fields_with_one_meaning() -> None:
    rows = {row[0]: row for row in kind_document("mla").tables[0].rows}
    assert rows["d_model"][1] == "int, required"
    assert rows["rope"][1] == "theta 10000.0"
    rows = {row[0]: row for row in kind_document("attention").tables[0].rows}
    assert rows["q_bias, k_bias, v_bias, o_bias"][1] == "False"
    assert "MISSING" not in str(kind_document("moe").data())

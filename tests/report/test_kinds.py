"""What ``presets kinds`` says of every kind."""

from __future__ import annotations

from dataclasses import fields

import pytest

import llmcalc
from llmcalc.core.ledger import entries
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
    declared = result["declarations"].values()
    own = sum(1 + bool(each["equations"]) + bool(each["state"]) for each in declared)
    assert len(document.tables) == 1 + own + sum(bool(part["fields"]) for part in result["parts"].values())
    for each in declared:
        assert [axis for axis, entry in each["axes"].items() if not entry["meaning"]] == []


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


def test_a_kind_has_the_equations_axes_and_state_of_a_model() -> None:
    result = kind_document("mla").data()["result"]
    declared = result["declarations"][""]
    layer = next(entry.layer for entry in entries(llmcalc.load(result["example"])) if entry.layer.kind() == "mla")
    assert declared["axes"]["C"]["size"] == layer.kv_lora_rank  # type: ignore[attr-defined]
    assert declared["axes"]["t"] == {"name": "n_kept", "size": "c + q", "ranks": "", "meaning": "cached tokens"}
    assert declared["state"] == [{"tensor": "ckv[b t C]", "role": "kv"}, {"tensor": "kr[b t rope]", "role": "kv"}]
    assert "y[b q d] = o[b q h v] wo[h v d]" in declared["equations"]
    titles = [table.title or table.columns[0].title for table in kind_document("mla").tables]
    assert titles[:4] == ["fields", "equations", "axes", "state between decode steps"]


@pytest.mark.parametrize(
    ("name", "ranks"),
    [
        ("mla", {"h": "tp", "C": "", "b": "dp", "q": "cp"}),
        ("gqa", {"h": "tp", "g": "tp, or whole", "e": ""}),
        ("moe", {"x": "ep", "f": "tp"}),
        ("embedding", {"V": "tp, padded", "d": ""}),
        ("mamba2", {"H": "tp", "G": "tp, or whole", "N": ""}),
    ],
)
def test_ranks_divide_the_axes_that_a_kind_lists(name: str, ranks: dict[str, str]) -> None:
    axes = kind_document(name).data()["result"]["declarations"][""]["axes"]
    assert {axis: axes[axis]["ranks"] for axis in ranks} == ranks

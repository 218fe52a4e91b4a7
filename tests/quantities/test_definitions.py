"""Every value of a quantity is defined, named in the same way everywhere, and cites known publications."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

import llmcalc
from llmcalc.analysis.explain import evaluate_all
from llmcalc.analysis.quantity import definitions, quantities, value_names, value_of, values
from llmcalc.cli.main import main
from llmcalc.core.errors import InputError
from llmcalc.data import table

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_value_is_defined() -> None:
    for quantity in quantities():
        assert set(definitions(quantity.name)) == set(quantity.parts), quantity.name
        assert set(quantity.parts) <= {name for kinds in quantity.evidence.values() for name in kinds}, quantity.name
    known = table("sources")
    for value in values():
        texts = value.definition
        assert texts.counts, value.name
        assert texts.omits or value.quantity.name == "latency", value.name
        cited = re.findall(r"\b[a-z]+20\d\d\w*", " ".join((*texts,)))
        assert set(cited) <= known.keys(), value.name


def test_the_documentation_has_every_value() -> None:
    pytest.importorskip("mkdocs")
    sys.path.insert(0, str(DOCS))
    try:
        from kinds import on_page_markdown  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(DOCS))
    page = on_page_markdown((DOCS / "conventions.md").read_text("utf-8"))
    for value in values():
        assert f"| `{value.name}` | {value.unit} | {value.definition.counts} |" in page


def test_the_help_has_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "quantities"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in value_names())
    assert main(["help", "quantities", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["result"]["values"]
    assert [each["name"] for each in found] == [*value_names()]
    assert {each["unit"] for each in found} == {value.unit for value in values()}


def test_explain_lists_all_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "llama3-8b", "--gpu", "h100", "--tokens", "1T", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["result"]["values"]
    found = {row["name"]: row["value"] for row in rows}
    assert found.keys() == {*value_names()} - {"memory.gradients", "memory.optimizer"}
    assert found["params.total"] == llmcalc.params("llama3-8b").total
    assert found["memory.peak"] == llmcalc.memory("llama3-8b").peak
    assert found["train.compute"] == llmcalc.train("llama3-8b", tokens="1T").compute
    assert main(["explain", "llama3-8b"]) == 0
    assert "latency: missing GPU; add --gpu h100" in capsys.readouterr().out
    assert main(["explain", "llama3-8b", "--depth", "1"]) == 2
    assert main(["explain", "llama3-8b", "--lora-rank", "4"]) == 2
    assert "has no effect in serving" in capsys.readouterr().err


def test_values_are_those_of_each_function() -> None:
    found = evaluate_all(llmcalc.load("gpt2"), {})
    known = {value.name: number for value, number in found.values}
    assert found.evidence.keys() == known.keys()
    for name in ("params.active", "flops.matmul", "memory.weights", "state.elements", "traffic.read"):
        if name != "traffic.read":
            assert llmcalc.explain("gpt2", name).tree.value == known[name]
        assert float(llmcalc.sweep("gpt2", name, "n_layers=12").values[name][0]) == known[name]
    costs = llmcalc.compare("gpt2", "bert").costs[0]
    for cost in costs.tables:
        for name in cost.values:
            assert value_of(name).unit == cost.unit


@pytest.mark.parametrize(("name", "meant"), [("params.totl", "params.total"), ("flop", "flops"), ("peak", "")])
def test_a_wrong_name_gets_a_suggestion(name: str, meant: str) -> None:
    for ask in (lambda: llmcalc.explain("gpt2", name), lambda: llmcalc.sweep("gpt2", name, "n_layers=1,2")):
        with pytest.raises(InputError, match=f"unknown quantity '{name}'\n.*{meant}"):
            ask()


def test_a_quantity_means_its_first_value() -> None:
    assert value_of("params").name == "params.total"
    assert value_of("active").name == "params.active"
    assert [*llmcalc.sweep("gpt2", "flops", "seq=1,2").values] == ["flops.total"]
    assert llmcalc.explain("gpt2", "active").tree.value == llmcalc.explain("gpt2", "params.active").tree.value
    with pytest.raises(InputError, match=r"no derivation of its own\n  use flops\.total"):
        llmcalc.explain("gpt2", "flops.other")

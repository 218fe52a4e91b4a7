"""The answers of the commands, as JSON: the numbers of the library under its attribute names."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.description.fingerprint import fingerprint

Capture = pytest.CaptureFixture[str]


def answer(capsys: Capture, *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["schema"], set(data)) == ("llmcalc/1", {"schema", "command", "inputs", "result"})
    assert data["command"] == " ".join(words[: len(data["command"].split())])
    assert isinstance(data["inputs"], dict)
    return dict(data)


@pytest.mark.parametrize("name", ["gpt3", "t5-11b", "mixtral-8x7b", "deepseek-v3", "albert"])
def test_params_says_what_the_library_says(name: str, capsys: Capture) -> None:
    architecture = llmcalc.load(name)
    counted = llmcalc.params(architecture)
    data = answer(capsys, "params", name)
    for attribute in ("total", "active", "embedding", "non_embedding", "buffers", "by_layer", "by_component"):
        assert data["result"][attribute] == getattr(counted, attribute)
    assert data["inputs"]["model"] == architecture.name
    assert data["inputs"]["hash"] == fingerprint(architecture)


def test_overrides_are_applied_and_shown(capsys: Capture) -> None:
    plain = answer(capsys, "params", "gpt2")
    changed = answer(capsys, "params", "gpt2", "--set", "n_layers=2", "--set=n_heads=6")
    assert len(changed["result"]["by_layer"]) == 2
    assert changed["inputs"]["overrides"] == ["n_layers=2", "n_heads=6"]
    assert changed["inputs"]["hash"] != plain["inputs"]["hash"]


@pytest.mark.parametrize("name", ["gpt2", "t5-small", "albert", "deepseek-v3", "gemma3-27b"])
def test_tensors_add_up_to_the_total(name: str, capsys: Capture) -> None:
    result = answer(capsys, "params", name, "--by", "tensor")["result"]
    sizes = [tensor["copies"] * _product(tensor["shape"]) for tensor in result["tensors"]]
    assert sum(sizes) == result["total"]
    assert len({tensor["name"] for tensor in result["tensors"]}) == len(sizes)


def test_stored_tensors_are_listed_one_by_one(capsys: Capture) -> None:
    result = answer(capsys, "params", "gpt2", "--layout", "transformers")["result"]
    assert sum(_product(tensor["shape"]) for tensor in result["tensors"]) == result["total"]
    assert {"name": "transformer.wte.weight", "shape": [50257, 768]} in result["tensors"]


def test_a_published_figure_stands_beside_ours(capsys: Capture) -> None:
    figures = answer(capsys, "params", "gpt3")["result"]["published"]
    assert figures
    for figure in figures:
        assert figure["ours"] == 174604259328
        assert figure["within"] == (abs(figure["relative_difference"]) <= figure["tolerance"])
        assert figure["within"] or figure["note"]


def test_compare_measures_by_the_first(capsys: Capture) -> None:
    result = answer(capsys, "compare", "bert", "palm", "gpt2")["result"]
    bert, palm, _ = (model["total"] for model in result["models"])
    assert result["to_first"][0]["difference"]["total"] == palm - bert
    assert result["to_first"][0]["ratio"]["total"] == palm / bert
    traits = {row["trait"]: row["values"] for row in result["structure"]}
    assert traits["n_kv_heads"] == ["12", "1", "12"]
    assert traits["n_layers"] == ["12", "118", "12"]


@pytest.mark.parametrize(("other", "is_same"), [("gpt2-small", True), ("gpt2-medium", False)])
def test_a_comparison_of_equal_models_is_warned_of(other: str, is_same: bool, capsys: Capture) -> None:
    assert main(["compare", "gpt2", other]) == 0
    assert ("! the models have the same architecture" in capsys.readouterr().out) == is_same


def test_an_explanation_adds_up(capsys: Capture) -> None:
    def check(node: dict[str, Any]) -> None:
        if "children" in node:
            assert node["value"] == sum(child["value"] for child in node["children"])
            for child in node["children"]:
                check(child)

    result = answer(capsys, "explain", "mixtral", "params")["result"]
    assert [tree["value"] for tree in result["trees"]] == [46702792704]
    check(result["trees"][0])
    assert result["symbols"]["n_experts"] == "number of routed experts"
    assert "Mixtral" in result["source"]


def test_an_explanation_is_cut_and_selected(capsys: Capture) -> None:
    top = answer(capsys, "explain", "gpt3", "params", "--depth", "0")["result"]["trees"]
    assert [(tree["value"], "children" in tree) for tree in top] == [(174604259328, False)]
    chosen = answer(capsys, "explain", "gpt3", "params", "--select", "WQ")["result"]["trees"]
    assert [tree["formula"] for tree in chosen] == ["n_blocks·d_model·n_heads·d_head"]
    assert chosen[0]["label"].endswith("attention > wq")


def test_presets_are_listed_found_and_shown(capsys: Capture) -> None:
    listed = {preset["name"]: preset for preset in answer(capsys, "presets", "list")["result"]["presets"]}
    assert listed["gpt3"]["default"] == "175b"
    assert "gpt3.yaml" in answer(capsys, "presets", "where", "gpt3")["result"]["file"]
    shown = answer(capsys, "presets", "show", "gpt3")["result"]
    assert shown["base"] == "gpt2"
    resolved = answer(capsys, "presets", "show", "gpt3", "--resolved", "--set", "n_layers=2")["result"]
    assert llmcalc.load(resolved).stacks == llmcalc.load("gpt3", overrides=["n_layers=2"]).stacks


@pytest.mark.parametrize(
    ("words", "found", "missing"),
    [
        (["gpt3", ">100b"], "gpt3-175b", "gpt3-13b"),
        (["gpt3", "<=125m"], "", "gpt3-small"),
        (["mixtral", "40b-50b"], "mixtral-8x7b", "mixtral-8x22b"),
        (["mla"], "deepseek-v3-671b", "gpt3-175b"),
        (["encoder-decoder", "2019"], "t5-11b", "bert-base-uncased"),
        (["window", ">=2025"], "gpt-oss-20b", "mistral-7b"),
    ],
)
def test_a_search_understands_words_years_and_sizes(
    words: list[str], found: str, missing: str, capsys: Capture
) -> None:
    main(["presets", "search", *words, "--json"])
    names = {model["name"] for model in json.loads(capsys.readouterr().out)["result"]["models"]}
    assert not found or found in names
    assert missing not in names


def test_a_file_of_the_users_hides_a_shipped_one(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert main(["presets", "show", "gpt3"]) == 0
    mine = tmp_path / "gpt3.yaml"
    mine.write_text(capsys.readouterr().out)
    monkeypatch.setenv("LLMCALC_PATH", str(tmp_path))
    result = answer(capsys, "presets", "where", "gpt3")["result"]
    assert result["file"] == str(mine)
    assert len(result["hides"]) == 1


def test_a_rumoured_model_says_so_aloud(tmp_path: Any, capsys: Capture) -> None:
    file = tmp_path / "rumour.yaml"
    file.write_text(
        "name: rumour\nstatus: rumoured\nbase: gpt2\ndefault: a\nsizes: {a: {n_layers: 2, d_model: 6, n_heads: 2}}\n"
    )
    for form in ("plain", "table", "markdown"):
        assert main(["params", str(file), "--format", form]) == 0
        assert "rumoured" in capsys.readouterr().out
    assert answer(capsys, "params", str(file))["inputs"]["status"] == "rumoured"


def _product(shape: list[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def test_a_sweep_prints_every_value_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "gpt2", "params.total", "--over", "n_layers=7,11"]) == 0
    shown = capsys.readouterr().out
    assert [shown.count(value) for value in ("89.00 M", "117.4 M")] == [1, 1]
    assert "2 points over n_layers (2)" in shown


def test_a_preset_with_a_base_says_where_its_blocks_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "show", "llama3-8b"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("presets show llama\n# this model in one file: llmcalc import llama3-8b\n")
    assert main(["presets", "show", "llama"]) == 0
    assert "the blocks are those" not in capsys.readouterr().out


def test_a_file_has_the_verdict_and_all_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    for gpu, verdict in (("h100", "yes"), ("rtx3060", "no")):
        main(["fit", "llama3-8b", "--gpu", gpu, "--engine", "none", "--format", "csv"])
        rows = {row["quantity"]: row["value"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
        found = llmcalc.fit("llama3-8b", gpu, engine="none")
        assert (rows["fits"], int(rows["headroom"]), int(rows["needed"])) == (verdict, found.headroom, found.needed)
        assert sum(int(rows[name]) for name in ("weights", "state", "transient")) == found.needed
    main(["fit", "llama3-8b", "--gpu", "h100", "--solve", "seq", "--engine", "none", "--format", "csv"])
    text = capsys.readouterr().out
    assert "largest context,8192,tokens" in text
    assert 'in memory,"511,457",tokens' in text

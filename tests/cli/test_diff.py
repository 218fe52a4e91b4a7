"""``llmcalc diff``: exit code, table and JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main

Capture = pytest.CaptureFixture[str]


def answer(capsys: Capture, *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["diff", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_same_architecture_under_two_names(capsys: Capture) -> None:
    code, data = answer(capsys, "gpt2-small", "gpt2", "--set-second", "n_layers=12")
    assert code == 0
    assert (data["result"]["same"], data["result"]["differences"]) == (True, [])
    assert main(["diff", "gpt2", "gpt2"]) == 0
    assert "the same architecture" in capsys.readouterr().out


def test_what_differs_and_by_how_many_parameters(capsys: Capture) -> None:
    code, data = answer(capsys, "gpt2", "gpt2-medium")
    found = {
        (entry["part"], entry["what"]): (entry["first"], entry["second"]) for entry in data["result"]["differences"]
    }
    assert code == 1
    assert found == {
        ("decoder", "n_layers"): ("12", "24"),
        ("decoder", "d_model"): ("768", "1024"),
        ("attention", "n_heads"): ("12", "16"),
        ("mlp", "d_ff"): ("3072", "4096"),
    }
    small, medium = (llmcalc.params(llmcalc.load(name)).total for name in ("gpt2", "gpt2-medium"))
    assert data["result"]["difference"]["total"] == medium - small


def test_overrides_of_one_model_or_of_both(capsys: Capture) -> None:
    code, data = answer(capsys, "gpt2", "gpt2", "--set", "n_layers=5", "--set-first", "n_heads=3")
    assert code == 1
    assert [entry["what"] for entry in data["result"]["differences"]] == ["n_heads"]
    assert [model["overrides"] for model in data["inputs"]["models"]] == [["n_layers=5", "n_heads=3"], ["n_layers=5"]]


def test_the_screen(capsys: Capture) -> None:
    assert main(["diff", "mixtral", "llama2-7b"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split("  ")[0] == "mlp" and "moe, d_ff 14336, n_experts 8" in line for line in lines)
    assert any("routed experts" in line for line in lines)


def test_a_model_that_cannot_be_read(capsys: Capture) -> None:
    assert main(["diff", "gpt2", "no-such-model"]) == 2
    assert capsys.readouterr().err.count("error:") == 1

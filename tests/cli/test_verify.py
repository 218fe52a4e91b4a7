"""``llmcalc verify``: agreement is exit code 0, and whatever differs or cannot be run is 1 and has a name."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from llmcalc.cli.main import main
from llmcalc.core import architecture as core
from llmcalc.core.errors import UnsupportedError
from llmcalc.layers.mlp import Mlp
from llmcalc.schema import preset_files

Capture = pytest.CaptureFixture[str]
FEW = ["gpt2", "mixtral", "t5"]


@pytest.fixture
def _few_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    known = preset_files.files()
    monkeypatch.setattr(preset_files, "files", lambda: {name: known[name] for name in FEW})


@pytest.fixture
def _a_wrong_declaration(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The first matrix of every dense feed-forward layer loses an axis."""
    declare = Mlp.declare

    def wrong(layer: Mlp) -> Any:
        declaration = declare(layer)
        first, *others = declaration.tensors
        declaration.tensors = [replace(first, groups=first.groups[1:]), *others]
        return declaration

    monkeypatch.setattr(Mlp, "declare", wrong)
    core.shared_declaration.cache_clear()
    yield
    core.shared_declaration.cache_clear()


@pytest.fixture
def _no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnsupportedError("attention has no NumPy model", hint="another time")

    monkeypatch.setattr(import_module("llmcalc.verification.compare"), "twin", refuse)


def answer(capsys: Capture, *words: str, code: int) -> dict[str, Any]:
    assert main(["verify", *words, "--json"]) == code
    printed = capsys.readouterr()
    assert printed.err == ""
    data = json.loads(printed.out)
    assert (data["schema"], data["command"]) == ("llmcalc/1", "verify")
    return dict(data["result"])


@pytest.mark.parametrize("name", FEW)
def test_a_model_agrees_with_its_twin_and_with_what_is_published(name: str, capsys: Capture) -> None:
    result = answer(capsys, name, code=0)
    assert result["ok"]
    assert result["not_verified"] == ""
    quantities = [check["quantity"] for check in result["checks"]]
    for wanted in ("parameters", "matmul FLOPs, forward", "matmul FLOPs, backward", "state", "logits, step by step"):
        assert wanted in quantities
    assert ("active parameters" in quantities) == (name == "mixtral")
    assert [check for check in result["checks"] if check["source"]]


def test_the_model_is_changed_first(capsys: Capture) -> None:
    plain = answer(capsys, "llama3-8b", code=0)["checks"][0]["declared"]
    assert answer(capsys, "llama3-8b", "--set", "n_kv_heads=32", code=0)["checks"][0]["declared"] != plain


@pytest.mark.usefixtures("_a_wrong_declaration")
def test_a_wrong_declaration_is_found_and_named(capsys: Capture) -> None:
    assert main(["verify", "gpt2", "--format", "plain"]) == 1
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("parameters")]
    assert "✗" in line
    assert "mlp" in line
    assert "declared" in line
    wrong = [check for check in answer(capsys, "gpt2", code=1)["checks"] if not check["ok"]]
    assert wrong[0]["quantity"] == "parameters"
    assert wrong[0]["detail"]


@pytest.mark.usefixtures("_a_wrong_declaration", "_few_presets")
def test_a_wrong_declaration_is_found_among_all(capsys: Capture) -> None:
    assert main(["verify", "all", "--format", "plain"]) == 1
    out = capsys.readouterr().out
    assert "what differs" in out
    assert "gpt2-small" in out


@pytest.mark.usefixtures("_few_presets")
def test_all_are_all_sizes_of_all_presets(capsys: Capture) -> None:
    result = answer(capsys, "all", code=0)
    found = {model["model"] for model in result["models"]}
    assert {"gpt2-small", "gpt2-xl", "mixtral-8x7b", "mixtral-8x22b", "t5-11b"} <= found
    assert all(model["ok"] and model["checks"] for model in result["models"])
    assert main(["verify", "all", "--format", "plain"]) == 0
    assert capsys.readouterr().out.startswith(f"✓ {len(found)} of {len(found)} models verified\n")


@pytest.mark.usefixtures("_no_twin")
def test_a_model_without_a_twin_is_not_called_verified(capsys: Capture) -> None:
    assert main(["verify", "gpt2", "--format", "plain"]) == 1
    assert "not verified: attention has no NumPy model" in capsys.readouterr().out
    result = answer(capsys, "gpt2", code=1)
    assert (result["ok"], result["checks"]) == (False, [])
    assert "attention has no NumPy model" in result["not_verified"]


@pytest.mark.usefixtures("_no_twin", "_few_presets")
def test_models_without_a_twin_are_listed(capsys: Capture) -> None:
    assert main(["verify", "all", "--format", "plain"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("✗ 0 of ")
    assert "mixtral-8x7b" in out.partition("not verified\n")[2]


def test_a_preset_that_cannot_be_read_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "broken.yaml").write_text("name: broken\nsizes: [")
    monkeypatch.setattr(preset_files, "files", lambda: {"broken": tmp_path / "broken.yaml"})
    (model,) = answer(capsys, "all", code=1)["models"]
    assert "broken.yaml" in model["not_verified"]


def test_a_misprint_that_is_known_holds_and_is_said(capsys: Capture) -> None:
    explained = [check for check in answer(capsys, "gpt2-small", code=0)["checks"] if check["explained"]]
    assert explained
    assert all(check["declared"] != check["observed"] for check in explained)
    main(["verify", "gpt2-small", "--format", "plain"])
    assert "known difference from" in capsys.readouterr().out


def test_overrides_are_refused_for_all(capsys: Capture) -> None:
    assert main(["verify", "all", "--set", "n_layers=2"]) == 2
    assert "--set" in capsys.readouterr().err


@pytest.mark.usefixtures("_few_presets")
def test_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["verify", "all", "--json"]) == 0
    count = len([*preset_files.sized_files()])
    shown = capsys.readouterr().err
    assert f"{count}/{count}" in shown
    assert "t5" in shown

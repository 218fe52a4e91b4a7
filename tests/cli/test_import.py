"""``llmcalc import``: a preset file that loads to the same model, and no other file touched."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.main import main

Capture = pytest.CaptureFixture[str]
CONFIG = {
    "model_type": "qwen3", "hidden_size": 60, "num_hidden_layers": 7, "head_dim": 26, "num_attention_heads": 32,
    "vocab_size": 151936,
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG), "utf-8")
    return file


def test_a_config_becomes_a_preset(config: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "Mine 1.yaml"
    assert main(["import", str(config), "-o", str(target)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"wrote {target}\ndecoder: 7 layers")
    assert not captured.err
    found = llmcalc.load(target)
    assert (found.name, found.stacks) == ("mine-1", llmcalc.load(CONFIG).stacks)
    head = target.read_text("utf-8").splitlines()[:2]
    assert head[0].startswith(f"# Imported from {config} by llmcalc")
    assert f"{llmcalc.params(found).total:,} parameters" in head[1]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("words", [[], ["-o", "-"], ["--output=-"]])
def test_standard_output_is_the_default(words: list[str], config: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["import", str(config), *words, "--set", "num_hidden_layers=3"]) == 0
    copy = tmp_path / "copy.yaml"
    copy.write_text(capsys.readouterr().out, "utf-8")
    assert llmcalc.load(copy).main.n_layers == 3
    assert "with num_hidden_layers=3" in copy.read_text("utf-8")


def test_nothing_is_written_over_unasked(config: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "mine.yaml"
    target.write_text("precious", "utf-8")
    assert main(["import", str(config), "-o", str(target)]) == 2
    assert "file exists\n  pass --force" in capsys.readouterr().err
    assert target.read_text("utf-8") == "precious"
    assert main(["import", str(config), "-o", str(target), "--force"]) == 0
    assert llmcalc.load(target).main.n_layers == 7
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "mine.yaml"]


def test_a_model_that_cannot_be_read_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    assert main(["import", "no-such-model", "-o", str(target)]) == 2
    assert not target.exists()


@pytest.mark.parametrize("target", ["nowhere/mine.yaml", ".", "mine\x00.yaml"])
def test_a_file_that_cannot_be_written(
    target: str, config: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(config), "-o", target]) == 2
    assert capsys.readouterr().err.count("error:") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
def test_a_device_is_no_target_even_by_force(config: Path, capsys: Capture) -> None:
    assert main(["import", str(config), "-o", os.devnull, "--force"]) == 2
    assert "not a regular file" in capsys.readouterr().err
    assert not Path(os.devnull).is_file()


def test_a_file_system_without_links(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "mine.yaml"
    assert main(["import", str(config), "-o", str(target)]) == 0
    assert main(["import", str(config), "-o", str(target)]) == 2

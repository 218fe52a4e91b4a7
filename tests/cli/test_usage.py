"""Without typer, as in a browser, a command line is read alike, and mistakes have the same messages."""

from __future__ import annotations

import sys

import pytest

from llmcalc.cli import typer_app, usage
from llmcalc.cli.main import main

LINES = (
    "paramss gpt2", "params", "params gpt2 gpt3", "params gpt2 --seq", "params gpt2 --seq 5", "params gpt2 --byy layer",
    "params gpt2 --by", "params gpt2 --by foo", "params gpt2 --json=1", "flops gpt2 --seq -5", "flops gpt2 --seq abc",
    "compare", "compare gpt2", "laws foo", "laws lst", "--bogus", "-x", "params -x gpt2", "params -- gpt2",
    "serve gpt2 -o", "presets show", "explain gpt2", "rule a b", "diff a", "params gpt2 --by=layer x y",
    "params gpt2 --set", "fit --batch 1_0x", "calibrate x -q", "presets --bogus", "sweep gpt2 flops.total",
    "params -- --json", "memory gpt2 --no-such-option --json", "flops gpt2 --batch=-1", "fit gpt2 --gpu -1",
    "params gpt2 --format html --json", "report gpt2 -o- --batch 0", "report gpt2 -o", "params gpt2 --set n_layers=-1",
)  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_messages_are_those_of_typer(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = typer_app.run(line.split())
    expected = capsys.readouterr()
    assert usage.run(line.split()) == code
    assert capsys.readouterr() == expected


def test_an_option_of_llmcalc_in_the_command_of_an_engine_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--gpu", "h100", "--", "vllm", "serve", "Qwen/Qwen3-8B", "--notes"]) == 2
    assert "--notes is an option of llmcalc: put it before --" in capsys.readouterr().err
    assert main(["serve", "--gpu", "h100", "--", "vllm", "serve", "Qwen/Qwen3-8B", "--no-such-flag"]) == 2
    assert "option of llmcalc" not in capsys.readouterr().err


def test_long_errors_are_wrapped_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["sweep", "gpt2", "nosuch", "--over", "seq=1"]
    assert main(line) == 2
    piped = capsys.readouterr().err
    monkeypatch.setenv("COLUMNS", "53")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(line) == 2
    wrapped = capsys.readouterr().err
    assert max(map(len, piped.splitlines())) > 80 >= 53 >= max(map(len, wrapped.splitlines()))
    assert wrapped.split() == piped.split()
    assert all(each.startswith("  ") for each in wrapped.splitlines()[1:])

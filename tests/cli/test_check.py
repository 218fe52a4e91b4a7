"""``llmcalc check`` and ``rule``: exit codes for continuous integration, and one message for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import llmcalc
from llmcalc.cli.main import main

Capture = pytest.CaptureFixture[str]


def test_a_clean_model_is_ok(capsys: Capture) -> None:
    assert main(["check", "llama3-8b", "--max-params", "9B"]) == 0
    assert "no findings" in capsys.readouterr().out


def test_findings_are_a_no(capsys: Capture) -> None:
    assert main(["check", "gpt2"]) == 1
    out = capsys.readouterr().out
    assert "HW005" in out
    assert main(["check", "gpt2", "--ignore", "HW005", "--ignore", "CF"]) == 0


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--max-params", "8B"], False),
        (["--max-params", "8.1B"], True),
        (["--max-active", "1B"], False),
        (["--max-memory", "24GiB", "--seq", "1024"], True),
        (["--max-memory", "24GiB", "--seq", "1024", "--batch", "512"], False),
        (["--max-compute", "1e24", "--tokens", "15T"], True),
        (["--max-compute", "1e23", "--tokens", "15T"], False),
    ],
)
def test_limits(words: list[str], kept: bool, capsys: Capture) -> None:
    assert main(["check", "llama3-8b", *words, "--json"]) == (0 if kept else 1)
    result = json.loads(capsys.readouterr().out)["result"]
    (limit,) = result["models"][0]["limits"]
    assert (limit["kept"], result["ok"]) == (kept, kept)


def test_training_is_counted_exactly(capsys: Capture) -> None:
    main(["check", "llama3-8b", "--max-compute", "1e24", "--tokens", "15T", "--seq", "8192", "--json"])
    (limit,) = json.loads(capsys.readouterr().out)["result"]["models"][0]["limits"]
    step = llmcalc.flops(llmcalc.load("llama3-8b"), seq=8192, mode="train")
    assert limit["ours"] == -(-step.total * 15 * 10**12 // 8192)


def test_many_models_are_checked_at_once(capsys: Capture) -> None:
    assert main(["check", "llama3-8b", "qwen3", "gpt2"]) == 1
    out = capsys.readouterr().out
    assert "gpt2-small" in out
    assert "2 findings" in out


def test_a_rule_explains_itself(capsys: Capture) -> None:
    assert main(["rule", "HW005"]) == 0
    assert "anthony2024" in capsys.readouterr().out
    assert main(["rule"]) == 0
    assert "CF007" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["check", "gpt2", "--select", "HW9"], "unknown rule"),
        (["check", "gpt2", "--max-params", "many"], "--max-params"),
        (["check", "gpt2", "--max-memory", "24"], "--max-memory"),
        (["check", "gpt2", "--max-compute", "1e24"], "--tokens"),
        (["check", "gpt2", "--tokens", "1T"], "--max-compute"),
        (["check", "gpt2", "--max-compute", "-1", "--tokens", "1T"], "--max-compute"),
        (["check", "gpt2", "--tp", "0"], "--tp"),
        (["check", "gpt2", "--max-memory", "1GiB", "--batch", "0"], "--batch"),
        (["rule", "XX001"], "rule"),
    ],
)
def test_bad_input_is_one_message(words: list[str], told: str, capsys: Capture) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert told in captured.err
    assert "Traceback" not in captured.err


def test_the_hook_names_the_command() -> None:
    root = Path(__file__).resolve().parents[2]
    hook = root / ".pre-commit-hooks.yaml"
    if not hook.is_file():
        pytest.skip("only in a checkout")
    from llmcalc.schema.yaml_reader import read_yaml

    ((entry),) = read_yaml(hook.read_text("utf-8"), str(hook)).data
    assert entry["entry"] == "llmcalc check"

"""Mistakes in a command line are named, with what to type instead."""

from __future__ import annotations

import sys

import pytest

from llmcalc.cli.main import main

MESSAGES = (
    ("paramss gpt2", "no such command 'paramss'", "did you mean params? (see llmcalc --help)"),
    ("params", "missing argument 'model'", "(see llmcalc params --help)"),
    ("params gpt2 gpt3", "got unexpected extra argument(s) (gpt3)", "(see llmcalc params --help)"),
    (
        "params gpt2 --seq",
        "no such option: --seq",
        "--seq is an option of flops, traffic, communication and other commands: llmcalc flops MODEL --seq N",
    ),
    (
        "params gpt2 --seq 5",
        "no such option: --seq",
        "--seq is an option of flops, traffic, communication and other commands: llmcalc flops MODEL --seq N",
    ),
    ("params gpt2 --byy layer", "no such option: --byy", "did you mean --by? (see llmcalc params --help)"),
    ("params gpt2 --by", "option '--by' requires an argument", "(see llmcalc params --help)"),
    ("params gpt2 --by foo", "--by: invalid value 'foo'", "use one of component, layer, tensor"),
    ("params gpt2 --json=1", "option '--json' does not take a value", "(see llmcalc params --help)"),
    ("flops gpt2 --seq -5", "--seq: invalid length '-5'", "use a number such as 8192 or 32k"),
    ("flops gpt2 --seq abc", "--seq: invalid length 'abc'", "use a number such as 8192 or 32k"),
    ("compare", "missing argument 'models'", "(see llmcalc compare --help)"),
    ("compare gpt2", "compare requires at least 2 models, not 1", "for example: llmcalc compare bert palm"),
    ("laws foo", "no such command 'foo'", "(see llmcalc laws --help)"),
    ("laws lst", "no such command 'lst'", "did you mean list? (see llmcalc laws --help)"),
    ("--bogus", "no such option: --bogus", "(see llmcalc --help)"),
    ("-x", "no such option: -x", "(see llmcalc --help)"),
    ("params -x gpt2", "no such option: -x", "(see llmcalc params --help)"),
    ("serve gpt2 -o", "no such option: -o", "(see llmcalc serve --help)"),
    ("presets show", "missing argument 'name'", "(see llmcalc presets show --help)"),
    ("explain", "missing argument 'model'", "(see llmcalc explain --help)"),
    ("rule a b", "got unexpected extra argument(s) (b)", "(see llmcalc rule --help)"),
    ("diff a", "missing argument 'second'", "(see llmcalc diff --help)"),
    ("params gpt2 --by=layer x y", "got unexpected extra argument(s) (x y)", "(see llmcalc params --help)"),
    ("params gpt2 --set", "option '--set' requires an argument", "(see llmcalc params --help)"),
    ("fit --batch 1_0x", "--batch: invalid value '1_0x'", "use an integer in digits, such as 16"),
    ("calibrate x -q", "no such option: -q", "(see llmcalc calibrate --help)"),
    ("presets --bogus", "no such option: --bogus", "(see llmcalc presets --help)"),
    ("sweep gpt2 flops.total", "--over: no range to sweep", "use a range such as seq=1k..32k:x2"),
    ("params -- --json", "unknown model '--json'", "run llmcalc presets list to see all models"),
    ("memory gpt2 --no-such-option --json", "no such option: --no-such-option", "(see llmcalc memory --help)"),
    ("flops gpt2 --batch=-1", "--batch: invalid value '-1'", "use an integer in digits, such as 16"),
    ("fit gpt2 --gpu -1", "--gpu: unknown accelerator '-1'", "run llmcalc hardware list to see all accelerators"),
    ("params gpt2 --format html --json", "--format: cannot be combined with --json", "omit one of them"),
    ("report gpt2 -o- --batch 0", "--batch: must be at least 1, not 0"),
    ("report gpt2 -o", "option '-o' requires an argument", "(see llmcalc report --help)"),
)


@pytest.mark.parametrize("line", MESSAGES, ids=lambda line: line[0])
def test_a_mistake_is_named_with_a_suggestion(line: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    words, message, *hints = line
    assert main(words.split()) == 2
    assert capsys.readouterr().err == "\n  ".join([f"error: {message}", *hints]) + "\n"


@pytest.mark.parametrize(
    "line",
    [
        "params -- gpt2",
        "--version",
        "-V",
        "--version params",
        "help presets",
        "-h foo",
        "explain gpt2",
        "help quantities",
    ],
)
def test_what_is_no_mistake_is_answered(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 0
    assert not capsys.readouterr().err


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

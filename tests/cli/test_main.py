"""What a user and a shell see: exit codes, one message on standard error, data alone on standard output."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import llmcalc
from llmcalc.cli.main import main
from llmcalc.report.result_schema import result_schema

Capture = pytest.CaptureFixture[str]
COMMAND = [sys.executable, "-m", "llmcalc"]


def test_version_is_the_packages(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"llmcalc {llmcalc.__version__}\n"


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["-h"], ["presets"], ["params", "--help"], ["presets", "show", "-h"]]
)
def test_help_is_data(words: list[str], capsys: Capture) -> None:
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "Usage: llmcalc" in printed.out
    assert printed.err == ""


BAD = {
    "parms gpt3": "did you mean params?",
    "params": "missing argument",
    "params gpt33": "did you mean gpt3",
    "params gpt3 --by layr": "did you mean layer?",
    "params gpt3 --format tabel": "did you mean table?",
    "params gpt3 gpt2": "gpt2",
    "params gpt3 --layout": "--layout",
    "params gpt3 --layout nosuch": "nosuch",
    "params gpt3 --set n_layer=3": "did you mean n_layers",
    "params gpt3 --set d_model=0": "d_model must be a positive integer, not 0",
    "params gpt3 --set n_layers=-1": "-1",
    "params gpt3 --set n_layers": "path=value",
    "params nosuch.yaml": "file not found",
    "compare gpt3": "at least 2",
    "compare gpt3 nosuchmodel gpt2": "'nosuchmodel'",
    "explain gpt3 parms": "did you mean params?",
    "explain gpt3 params --depth x": "use an integer in digits, such as 16",
    "explain gpt3 params --depth -1": "use an integer in digits, such as 16",
    "explain gpt3 params --path nosuchpart": "'nosuchpart'",
    "presets lst": "did you mean list?",
    "presets list --format tree": "--format",
    "presets where nosuch": "'nosuch'",
    "presets kinds nosuch": "unknown layer kind 'nosuch'",
    "presets show gpt3 --set n_layers=2": "--resolved",
    "presets search": "missing argument",
    "--verbose": "--verbose",
    "memory gpt3 --gpu h100": "fit, serve, check-log and other commands: llmcalc fit --gpu NAME[:N]",
    "params gpt3 --max-seq-len 8k": "--seq is an option of flops, ",
    "params gpt3 --batch 8": "--batch is an option of flops, ",
    "params gpt3 --jsn": "did you mean --json",
    "serve gpt3 --gpu h100:8 --users 10": "did you mean --concurrency?",
    "serve gpt3 --gpu h100:8 --request-rate 5": "did you mean --concurrency?",
    "fit gpt3 --gpu h100:8 --users 10": "did you mean --batch?",
    "fit gpt3 --gpu h100:8 --context 2k": "did you mean --seq?",
    "memory gpt3 --kv fp8": "did you mean --cache?",
    "memory gpt3 --sequence 8k": "did you mean --seq?",
    "fit gpt3 --tensor-paralel-size 2": "did you mean --tp",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_message_and_exit_code_2(line: str, refused: Callable[[str, str], None]) -> None:
    refused(line, BAD[line])


@pytest.mark.parametrize(
    ("line", "command", "message", "hint", "parameter"),
    [
        ("params gpt33 --json", "params", "unknown model 'gpt33'", "did you mean gpt3", ""),
        ("memory gpt3 --seq 0 --format json", "memory", "must be an integer of at least 1, not 0", "", "seq"),
        ("memory gpt3 --sp --training --format=json", "memory", "has no effect without tensor", "add --tp N", "sp"),
        ("params --json", "params", "missing argument 'model'", "llmcalc params --help", "model"),
        ("params gpt3 --json --by layr", "params", "invalid value 'layr'", "did you mean layer?", "by"),
        ("params gpt3 --json --format csv", "params", "cannot be combined with --json", "omit", "form"),
        ("memory gpt3 --gpu h100 --json", "memory", "no such option: --gpu", "llmcalc fit", "--gpu"),
        ("presets lst --json", "", "no such command 'lst'", "did you mean list?", ""),
    ],
)
def test_errors_are_json_where_results_would_be(  # and the message is still on standard error
    line: str, command: str, message: str, hint: str, parameter: str, capsys: Capture
) -> None:
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    data = json.loads(printed.out)
    assert Draft202012Validator(result_schema()).is_valid(data)
    assert (data["command"], data["inputs"]) == (command, {"arguments": line.split()})
    assert data["error"]["message"].startswith(message)
    assert hint in data["error"]["hint"]
    assert data["error"]["parameter"] == parameter
    assert printed.err.startswith("error: ")
    assert message in printed.err


def test_the_schema_requires_a_result_or_an_error() -> None:
    envelope = {"schema": "llmcalc/1", "command": "params", "inputs": {}}
    error = {"message": "wrong", "hint": "", "parameter": "", "where": ""}
    validator = Draft202012Validator(result_schema())
    assert validator.is_valid({**envelope, "error": error})
    assert not validator.is_valid(envelope)
    assert not validator.is_valid({**envelope, "error": {"message": "wrong"}})


def test_a_broken_preset_is_located(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nsizes:\n  a: {n_layers: 2}\nsizes: {}\n")
    assert main(["params", str(file)]) == 2
    assert "mine.yaml:4:1" in capsys.readouterr().err


def test_a_search_without_a_match_answers_no(capsys: Capture) -> None:
    assert main(["presets", "search", "nosuchmodel"]) == 1
    assert main(["presets", "search", "gpt3", "175b"]) == 0
    assert "gpt3-175b" in capsys.readouterr().out


def test_a_model_is_read_from_standard_input() -> None:
    text = subprocess.run([*COMMAND, "presets", "show", "gpt2", "--resolved"], capture_output=True, check=True).stdout
    done = subprocess.run([*COMMAND, "params", "-", "--json"], input=text, capture_output=True, check=True)
    assert json.loads(done.stdout)["result"]["total"] == llmcalc.params(llmcalc.load("gpt2")).total


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "params", "gpt3"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_said() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "params", "gpt3"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write")
    assert len(done.stderr.splitlines()) == 1


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmcalc.inputs.models.read_model", interrupt)
    assert main(["params", "gpt3"]) == 130
    assert capsys.readouterr().err == ""


def test_an_encoding_without_the_signs_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, "ascii"))
    assert main(["params", "gpt3", "--format", "table"]) == 0
    assert b"174,604,259,328" in buffer.getvalue()


@pytest.mark.parametrize(("word", "offered"), [("gpt3-1", "gpt3-175b"), ("deepseek-v", "deepseek-v3")])
def test_the_shell_completes_names_of_presets(word: str, offered: str) -> None:
    asked = {"_LLMCALC_COMPLETE": "complete_bash", "COMP_WORDS": f"llmcalc params {word}", "COMP_CWORD": "2"}
    done = subprocess.run(COMMAND, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert offered in done.stdout.split()


def test_the_shell_completes_commands_and_options() -> None:
    def offered(line: str) -> list[str]:
        asked = {"_LLMCALC_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        return subprocess.run(
            COMMAND, env={**os.environ, **asked}, capture_output=True, text=True, check=False
        ).stdout.split()

    assert "params" in offered("llmcalc par")
    assert "--json" in offered("llmcalc params --js")
    assert "layer" in offered("llmcalc params gpt3 --by lay")


def test_a_process_does_not_collect_garbage_at_exit() -> None:
    code = "import gc, sys\nfrom llmcalc.cli.main import script\nsys.argv[1:] = ['--version']\nassert script() == 0\n"
    code += "assert gc.get_freeze_count() > 0\nassert gc.get_threshold()[0] > 10_000"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0

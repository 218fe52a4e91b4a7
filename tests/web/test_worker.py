"""The worker answers every message with plain data, and a mistake with one clear message."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from llmcalc.cli.main import main
from llmcalc.web import worker
from llmcalc.web.worker import handle, handle_text

CONFIG = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 35, "num_attention_heads": 5,
    "intermediate_size": 77, "vocab_size": 101,
}  # fmt: skip


def run(line: str, **more: object) -> dict[str, Any]:
    return handle({"kind": "run", "line": line, **more})


@pytest.mark.parametrize("line", ["params gpt3", "llmcalc params gpt3", "  params   'gpt3' "])
def test_a_command_line_returns_the_document_of_the_command(line: str) -> None:
    found = run(line)
    out = io.StringIO()
    with redirect_stdout(out):
        main(["params", "gpt3", "--format", "html"])
    assert found == {"code": 0, "html": out.getvalue(), "text": ""}


def test_exit_codes_are_those_of_the_command() -> None:
    assert run("fit gpt3 --gpu rtx4090")["code"] == 1
    found = run("params nosuchmodel")
    assert (found["code"], found["html"]) == (2, "")
    assert found["text"].startswith("error: unknown model 'nosuchmodel'")


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("params gpt3 --json", "{\n"), ("params gpt3 --format csv", "component,"), ("params gpt3 --format=csv", "comp"),
        ("params --help", "Usage: llmcalc params MODEL"), ("help fit --solve", "--solve "), ("", "Usage: llmcalc"),
        ("presets show gpt3", "# yaml-language-server"), ("schema preset", "{\n"), ("--version", "llmcalc "),
        ("import gpt2 --set n_layers=2", "# Imported from gpt2"), ("presets", "Usage: llmcalc presets"),
    ],
)  # fmt: skip
def test_other_output_is_text(line: str, start: str) -> None:
    found = run(line)
    assert (found["code"], found["html"]) == (0, "")
    assert found["text"].startswith(start)


def test_a_report_and_the_command_line_of_an_engine_are_documents() -> None:
    assert run("report gpt2 --lengths 1k")["html"].startswith("<!DOCTYPE html>")
    assert "vLLM" in run("serve --gpu h100 -- vllm serve Qwen/Qwen3-8B")["html"]


def test_files_of_a_message_can_be_named() -> None:
    before = os.getcwd()
    found = run("params config.json --json", files={"config.json": json.dumps(CONFIG)})
    assert json.loads(found["text"])["result"]["total"] > 0
    assert os.getcwd() == before
    assert run("params config.json")["code"] == 2
    assert run("params gpt2")["code"] == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("verify gpt2", "verify needs NumPy, which the page does not have\n  install llmcalc and run: llmcalc verify"),
        ("plan gpt2", "plan needs NumPy, which the page does not have\n  install llmcalc and run: "),
        ("web build -o x", "web build cannot run in the page itself"),
        ("web", "web serve cannot run in the page itself"),
        ("import gpt2 -o x.yaml", "-o: the page cannot write a file"),
        ("import gpt2 -ox.yaml", "-ox.yaml: the page cannot write a file"),
        ("import gpt2 --output=x.yaml", "--output=x.yaml: the page cannot write a file"),
        ("report gpt2 --output x.html --force", "--output: the page cannot write a file"),
        ("calibrate rows.csv -o x.yaml", "-o: the page cannot write a file"),
        ("import gpt2 -o", "-o: the page cannot write a file"),
        ("params 'gpt2", "invalid command line: no closing quotation"),
        ("params -", "error: "),
        ("params " + "x" * 20_000, "line has 20,007 characters, more than 10,000"),
        ("params \ud800\x1b[31m", r"unknown model '\ud800\x1b[31m'"),
    ],
)
def test_lines_that_are_refused(line: str, said: str) -> None:
    found = run(line)
    assert found["code"] == 2
    assert said in found["text"]
    assert found["text"].count("error: ") == 1
    assert not found["html"]


@pytest.mark.parametrize(
    "message",
    [
        None, 7, "run", [], {}, {"kind": 7}, {"kind": []}, {"kind": "no"}, {"kind": "run"}, {"kind": "run", "line": 7},
        {"kind": "run", "line": "params gpt2", "files": 7}, {"kind": "run", "line": "params x", "files": {"../x": ""}},
        {"kind": "run", "line": "params x", "files": {"x": 7}}, {"kind": "run", "line": "params x", "files": {"": ""}},
        {"kind": "run", "line": "params x", "files": {"-x": ""}}, {"kind": "complete"},
        {"kind": "complete", "line": {}},
        {"kind": "answers"}, {"kind": "answers", "state": 7},
    ],
)  # fmt: skip
def test_a_hostile_message_gets_one_message(message: object) -> None:
    found = json.loads(handle_text(json.dumps(message)))
    assert found["code"] == 2
    assert found["text"].startswith("error: ")
    assert found["text"].count("\n") <= 1


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"kind": "run", "line": "\ud800"}', "NaN"])
def test_text_that_is_no_message(text: str) -> None:
    assert json.loads(handle_text(text))["code"] == 2


def complete(line: str, **more: object) -> tuple[str, list[str]]:
    found = handle({"kind": "complete", "line": line, **more})
    assert found["code"] == 0
    return line[found["start"] : found["end"]], [item["text"] for item in found["items"]]


@pytest.mark.parametrize(
    ("line", "typed", "first"),
    [
        ("", "", "calibrate"), ("par", "par", "params"), ("llmcalc par", "par", "params"), ("presets sh", "sh", "show"),
        ("fit llama3-8b --gpu h100-s", "h100-s", "h100-sxm"), ("fit llama3-8b --gpu=h100-s", "h100-s", "h100-sxm"),
        ("fit llama3-8b --solve s", "s", "seq"), ("fit llama3-8b --so", "--so", "--solve"),
        ("explain gpt2 me", "me", "memory"), ("memory gpt2 --weights q4_k", "q4_k", "q4_k"),
        ("compare gpt2 ber", "ber", "bert"), ("params LLA", "LLA", "llama"), ("laws show kap", "kap", "kaplan"),
    ],
)  # fmt: skip
def test_words_are_completed(line: str, typed: str, first: str) -> None:
    word, items = complete(line)
    assert word == typed
    assert items[0] == first


def test_options_are_offered_once_unless_they_repeat() -> None:
    assert "--by" in complete("params gpt2 --")[1]
    assert "--by" not in complete("params gpt2 --by layer --")[1]
    assert "--set" in complete("params gpt2 --set n_layers=1 --")[1]
    assert not {"--output", "--force"} & set(complete("import gpt2 --")[1])


def test_opened_files_are_offered_as_models() -> None:
    assert complete("params /files", files=["/files/1/config.json", 7])[1] == ["/files/1/config.json"]


def test_what_the_page_refuses_is_not_offered() -> None:
    assert not {"verify", "web"} & set(complete("")[1])
    assert complete("verify gp")[1] == []
    assert complete("params 'gp")[1] == []
    assert complete("nosuch gp")[1] == []


@pytest.mark.parametrize("line", ["help", "help serve", "serve --help", "params -h", "help fit --solve", "presets", ""])
def test_help_needs_no_rich(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(line)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert run(line) == expected
    assert (expected["code"], expected["html"]) == (0, "")
    assert "llmcalc" in expected["text"] or expected["text"].startswith("--solve")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vllm serve Qwen/Qwen3-32B", "run: llmcalc serve --gpu h100 -- vllm serve Qwen/Qwen3-32B"),
        ("sglang serve Qwen/Qwen3-32B", "run: llmcalc serve --gpu h100 -- sglang serve"),
        ("fit hf:Qwen/Qwen3-8B --gpu h100", "paste or drop the config.json of the model"),
    ],
)
def test_lines_that_the_page_cannot_run_state_what_to_do(line: str, said: str) -> None:
    found = run(line)
    assert (found["code"], found["html"]) == (2, "")
    assert said in found["text"]


def test_an_opened_file_can_be_named_without_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "OPENED", str(tmp_path))
    for number, width in ((1, 35), (2, 70)):
        (tmp_path / str(number)).mkdir()
        file = tmp_path / str(number) / "config.json"
        file.write_text(json.dumps({**CONFIG, "hidden_size": width}), "utf-8")
        os.utime(file, (number, number))
    expected = json.loads(run(f"params {tmp_path}/2/config.json --json")["text"])["result"]["total"]
    assert json.loads(run("params config.json --json")["text"])["result"]["total"] == expected
    assert run("params other.json")["code"] == 2

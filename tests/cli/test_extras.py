"""``--with`` counts an extra in every command that computes a quantity of a model, as ``llmcalc.load`` does."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.commands import load
from llmcalc.cli.main import main
from llmcalc.cli.options import MODEL, SET, WITH
from llmcalc.cli.table import COMMANDS
from llmcalc.cli.training_options import TRAINED_MODEL

MODEL_NAME = "qwen3.5-0.8b"
ENGINES = {"serve", "latency"}  # in which extras draft tokens
LINES = {
    "fit": "--training --optimizer sgd --gpu h100 --seq 97", "rl": "--gpu h100", "traffic": "--seq 97",
    "sweep": "params.total --over batch=3,5", "compare": MODEL_NAME, "explain": "params", "scale": "--tokens 1T",
    "plan": "--gpu h100:8", "check": "--max-params 1B", "communication": "--tp 2", "train": "--tokens 1B",
}  # fmt: skip


def result_of(line: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(shlex.split(line)) in (0, 1), capsys.readouterr().err
    return capsys.readouterr().out


def test_all_commands_that_load_a_model_count_its_extras() -> None:
    for name in COMMANDS:
        parameters = load(name).parameters
        if SET in parameters and {MODEL, TRAINED_MODEL} & {*parameters}:
            assert (WITH in parameters) == (name not in ENGINES), name


@pytest.mark.parametrize("name", ["flops", "memory", "params", *LINES])
def test_an_extra_changes_the_answer(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"{name} {MODEL_NAME} {LINES.get(name, '')} --json"
    usual, more = (json.loads(result_of(each, capsys)) for each in (line, f"{line} --with mtp"))
    assert usual.get("result", usual) != more.get("result", more)


@pytest.mark.parametrize("own", [{"training": True, "optimizer": "sgd", "seq": 97}, {"seq": 97}], ids=str)
def test_all_doors_count_the_same_extra(own: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    typed = " ".join(f"--{key}" if value is True else f"--{key} {value}" for key, value in own.items())
    fit = json.loads(result_of(f"fit {MODEL_NAME} --gpu h100 --with mtp --reserve 0 --json {typed}", capsys))
    swept = json.loads(result_of(f"sweep {MODEL_NAME} memory.peak --over batch=1 --with mtp --json {typed}", capsys))
    memory = json.loads(result_of(f"memory {MODEL_NAME} --with mtp --json {typed}", capsys))
    model = llmcalc.load(MODEL_NAME, extras=["mtp"])
    peak = llmcalc.fit(model, "h100", **own).result.peak
    assert fit["result"]["needed"] == memory["result"]["peak"] == peak
    assert swept["result"]["values"]["memory.peak"] == [peak]

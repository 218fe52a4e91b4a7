"""A text means the same model on the command line, in Python, in the command of an engine and on the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import llmcalc
from llmcalc import InputError
from llmcalc.cli.main import main
from llmcalc.schema.preset_files import find_name, names
from llmcalc.web.answers.case import titled
from llmcalc.web.catalogue import catalogue, name_table
from llmcalc.web.worker import handle

FILE = Path(__file__).parent.parent / "inputs" / "repositories.csv"
with FILE.open(encoding="utf-8", newline="") as stream:
    next(stream)
    REPOSITORIES = [row["repository"] for row in csv.DictReader(stream)]
TYPED = ("qwen3-235b", "qwen3-23", "gemma2-2", "gpt", "llama3", "Llama 3.3 70B", "qwen3:30b", "Qwen3-8B-AWQ", "openai")
GPUS = (
    "h100",
    "a100-80",
    "a100",
    "8xh100",
    "H100 80GB SXM",
    "4090",
    "l40",
    "mi300",
    "b200-180gb",
    "24GB",
    "p5.48xlarge",
)


@pytest.fixture(scope="module")
def known() -> dict[str, dict[str, str]]:
    """The generated table of the page."""
    return name_table()


def on_the_page(known: dict[str, dict[str, str]], of: str, text: str) -> str:
    """The name that the page chooses, by the table or by Python, as ``names.js`` does, or an empty text."""
    if text.lower() in known[of]:
        return text if of == "model" else known[of][text.lower()]
    found: str = handle({"kind": "name", "of": of, "text": text}).get("name", "")
    return found


@pytest.mark.parametrize("text", [*REPOSITORIES[::5], *TYPED])
def test_a_model_has_one_name_at_all_doors(
    text: str, known: dict[str, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        meant = llmcalc.load(text).name
    except InputError:
        meant = ""
    assert main(["params", text, "--json"]) == (0 if meant else 2)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["inputs"]["model"] if meant else "") == meant
    chosen = on_the_page(known, "model", text)
    assert (llmcalc.load(chosen).name if chosen else "") == meant
    if text.lower() in known["model"]:
        assert known["model"][text.lower()] == meant
    try:
        served = llmcalc.serve(command=["vllm", "serve", text], gpu="b300:64").architecture.name
    except InputError:
        served = ""
    assert served == meant


@pytest.mark.parametrize("text", GPUS)
def test_a_gpu_has_one_name_at_all_doors(text: str, known: dict[str, dict[str, str]]) -> None:
    try:
        meant = llmcalc.fit("gpt2", text).accelerator
        name = meant.name if meant else ""
    except InputError:
        name = ""
    assert on_the_page(known, "gpu", text) == name


def test_the_table_of_the_page_is_the_rule(known: dict[str, dict[str, str]]) -> None:
    for text, name in known["model"].items():
        assert llmcalc.load(text).name == name
    assert set(names()) <= set(known["model"])


def test_titles_on_the_page_are_names_of_no_other_model() -> None:
    for model in catalogue()["models"]:
        assert model["title"] == titled(llmcalc.load(model["name"]))
        if meant := find_name(model["title"]):
            assert llmcalc.load(meant).name == model["name"]

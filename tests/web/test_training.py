"""What the page shows of fine-tuning and training, which the commands and the library show too."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.report.train import train_document
from llmcalc.web.answers import TRAINING, answers

FULL = {"model": "llama3.1-8b", "gpu": "h100", "n": 8, "context": 4099, "task": "train", "tokens": "7B"}
ADAPTED = {**FULL, "n": 1, "method": "qlora", "recompute": "full", "loss": "fused", "batch": 3}
LARGE = {"model": "llama3-70b", "gpu": "h100", "context": 2053, "task": "train"}
UNKNOWN = {"model": "gpt2", "gpu": "rtx-4090", "task": "train", "batch": 5}
STATES = (
    FULL,
    ADAPTED,
    LARGE,
    UNKNOWN,
    {**UNKNOWN, "mfu": "35"},
    {"model": "bert", "gpu": "a100-80gb", "task": "train"},
)


def panel(name: str, state: dict[str, Any], **asked: Any) -> Any:
    found = answers({**state, "panels": [name], **asked})
    assert "error" not in found, found
    return found["panels"][name]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", TRAINING)
def test_every_panel_answers_in_plain_json(name: str, state: dict[str, Any]) -> None:
    found = panel(name, state, compare=["gpt2"])
    assert json.loads(json.dumps(found)) == found
    assert "error" not in found


def test_the_verdict_agrees_with_fit_and_train() -> None:
    found = panel("verdict", ADAPTED)
    fit = llmcalc.fit("llama3.1-8b", "h100", training=True, seq=4099, batch=3, lora_rank=16, weights="nf4",
                      recompute="full", loss="fused", optimizer="adamw")  # fmt: skip
    assert found["fits"] is fit.fits is True
    assert found["memory"]["total"] == fit.needed + fit.reserve
    assert sum(part["bytes"] for part in found["memory"]["parts"]) == found["memory"]["total"]
    run = llmcalc.train("llama3.1-8b", "7B", seq=4099, gpu="h100", lora_rank=16)
    facts = {fact["why"]: fact for fact in found["facts"]}
    result = train_document(run).data()["result"]["expected"]
    assert result["basis"] == "steps"
    assert [facts["time"][name] for name in ("low", "value", "high")] == pytest.approx([*result["days"].values()])
    assert [facts["cost"][name] for name in ("low", "high")] == pytest.approx([*result["cost"].values()])
    assert facts["compute"]["value"] == run.compute


def test_a_step_that_does_not_fit_has_no_times_and_changes_that_help() -> None:
    found = panel("verdict", LARGE)
    assert (found["fits"], found["lead"]) == (False, "Does not fit")
    assert not {"time", "cost", "hours", "rate"} & {fact["why"] for fact in found["facts"]}
    assert found["changes"]
    for change in found["changes"]:
        assert panel("verdict", {**LARGE, **change["set"]})["fits"], change


def test_times_without_a_published_utilisation_are_those_of_train() -> None:
    unknown, given = panel("verdict", UNKNOWN), panel("verdict", {**UNKNOWN, "mfu": "35"})
    assert unknown["time_error"] == ""
    run = llmcalc.train("gpt2", "1B", seq=1024, gpu="rtx-4090:1")  # as the page assumes
    assert run.days
    assert next(fact for fact in unknown["facts"] if fact["why"] == "time")["value"] == run.days.mid
    time = next(fact for fact in given["facts"] if fact["why"] == "time")
    assert time["evidence"] == "assumed"
    assert given["time_error"] == ""


def test_times_need_the_figures_of_an_accelerator() -> None:
    unknown = panel("verdict", {**UNKNOWN, "gpu": "tpu-v2", "n": 64})
    assert "no confirmed memory bandwidth" in unknown["time_error"]
    assert "time" not in {fact["why"] for fact in unknown["facts"]}


@pytest.mark.parametrize("state", STATES)
def test_numbers_have_derivations(state: dict[str, Any]) -> None:
    for fact in panel("verdict", state)["facts"]:
        found = panel("derivation", state, quantity=fact["why"])
        assert found["tree"]["label"]
        if fact["why"] == "memory":
            assert int(found["tree"]["exact"].replace(",", "")) == fact["value"]


@pytest.mark.parametrize("state", STATES)
def test_command_lines_give_the_same_answers(state: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    results = panel("json", state)
    for command in panel("commands", state):
        words = command["line"].split()
        main([*words[1:], "--json"])
        found, expected = json.loads(capsys.readouterr().out)["result"], results[words[1]]["result"]
        for each in (found, expected):  # notes name options of the command line, or arguments
            each.pop("notes")
            each.pop("fits_with", None)
        assert found == expected


def test_ways_to_train_are_those_of_fit(capsys: pytest.CaptureFixture[str]) -> None:
    rows = panel("recipes", FULL)["rows"]
    assert main(["fit", "llama3.1-8b", "--gpu", "h100:8", "--seq", "4099", "--training", "--json"]) == 0
    recipes = json.loads(capsys.readouterr().out)["result"]["recipes"]
    expected = [(one["method"], one["saving"], one["fits"], one["batch"]) for one in recipes if not one["host"]]
    assert [(row["method"], row["saving"], row["fits"], row["batch"]) for row in rows] == expected
    for row in rows:
        found = panel("verdict", {**FULL, **row["set"]})
        assert found["fits"] is row["fits"], row
        if row["batch"]:
            assert not panel("verdict", {**FULL, **row["set"], "batch": row["batch"] + 1})["fits"], row


@pytest.mark.parametrize("name", ["task", "method", "recompute", "loss", "optimizer"])
def test_an_unknown_choice_is_an_error(name: str) -> None:
    found = answers({**FULL, name: "no-such", "panels": ["verdict"]})
    assert "no-such" in (found.get("error") or found["panels"]["verdict"]["error"])["message"]

"""The page says what the command that it prints says, and what it offers holds."""

from __future__ import annotations

import io
import shlex
from contextlib import redirect_stdout
from random import Random
from typing import Any

import pytest

from llmcalc.cli.main import main
from llmcalc.report.numbers import BYTES, readable
from llmcalc.web.answers import answers
from llmcalc.web.answers.case import case_of
from llmcalc.web.answers.state import read_state

MODELS = (
    "llama3.1-8b", "llama3.3-70b", "qwen3-30b-a3b", "deepseek-v3", "gemma3-27b", "gpt2", "mamba2-2.7b",
    "qwen3-next-80b-a3b", "gpt-oss-20b", "bert-large", "t5-base",
)  # fmt: skip
ENGINES = (  # GPU and weights, which choose the engine
    ("h100", ""), ("h100", "fp8"), ("h200", ""), ("l4", ""), ("a100-80gb", "awq-int4-g128"), ("rtx-4090", "q4_k_m"),
    ("m4-max-128gb", ""), ("rx-7900-xtx", "q8_0"),
)  # fmt: skip
COUNTS, LENGTHS, USERS = (1, 1, 2, 4, 8), (509, 2048, 8192, 32768), (1, 7, 37, 100, 300)
RANDOM = Random(20261203)
STATES: list[dict[str, Any]] = [
    {"model": model, "gpu": gpu, "weights": weights, "n": RANDOM.choice(COUNTS), "context": RANDOM.choice(LENGTHS),
     "users": RANDOM.choice(USERS)}
    for model in MODELS for gpu, weights in [RANDOM.choice(ENGINES)]
]  # fmt: skip
WAITING: dict[str, Any] = {"model": "llama3.3-70b", "gpu": "h100", "n": 4, "context": 8192, "users": 100}
MANY: dict[str, Any] = {"model": "llama3.1-8b", "gpu": "h100", "context": 512, "users": 2000}
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def printed(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """Return the first line that a command prints, and its exit code."""
    out = io.StringIO()
    with monkeypatch.context() as patch, redirect_stdout(out):
        patch.setenv("COLUMNS", "400")
        code = main(shlex.split(line)[1:])
    return out.getvalue().partition("\n")[0], code


def size(text: str) -> float:
    number, unit = text.split(" ")
    return float(number) * UNITS[unit]


def check(state: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    panels = answers({**state, "panels": ["verdict", "commands"]})["panels"]
    found, case = panels["verdict"], case_of(read_state(state))
    if "error" in found:  # such as weights that the GPU does not read
        assert found["error"]["message"]
        return
    line, code = printed(panels["commands"][0]["line"], monkeypatch)
    text, sign = found["text"], "✓" if found["lead"] == "Fits" else "✗"
    said = f"{found['title']} on {case.place} {line[2:]}"
    assert line[0] == sign
    assert text.startswith(said)
    assert text.removeprefix(said).startswith((".", "; it fits ", ", and answers ", ", and reads "))
    assert (code == 0) is case.fit.fits
    assert found["lead"] != "Fits" or found["waiting"] == 0
    memory, start = found["memory"], case.fit.start
    assert sum(part["bytes"] for part in memory["parts"]) == memory["total"]
    if case.fit.headroom >= 0 or (start and start.memory.available.best > 0):
        assert memory["total"] + size(memory["free_text"]) == pytest.approx(memory["size"], rel=1e-3)
    for change in found["changes"]:
        own = {**state, **change["set"]}
        better, then = answers(own)["panels"]["verdict"], case_of(read_state(own))
        assert (better["lead"], better["waiting"]) == ("Fits", 0), change
        assert readable(then.fit.headroom, BYTES) == change["headroom"], change
        if "n" not in change["set"]:
            is_moved = then.layout_text != case.layout_text
            assert change["text"].endswith(f" ({then.layout_text or 'one GPU'})") is is_moved, change
            if case.running and change["set"].keys() == {"users"}:
                assert is_moved or change["set"]["users"] == case.running, change


@pytest.mark.parametrize("state", STATES, ids=lambda state: "-".join(map(str, state.values())))
def test_the_page_says_what_its_command_says_and_its_offers_hold(
    state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(state, monkeypatch)


def test_users_who_wait_are_those_that_the_offer_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    check(MANY, monkeypatch)
    found = answers(MANY)["panels"]["verdict"]
    running = MANY["users"] - found["waiting"]
    assert {"users": running} in [change["set"] for change in found["changes"]]
    assert f"{running:,} of 2,000 requests" in found["text"]


def test_an_offer_names_the_layout_that_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    check(WAITING, monkeypatch)
    found = answers(WAITING)["panels"]["verdict"]
    assert found["memory"]["layout"] == "tp 4"
    assert "with 57 users (pp 4)" in [change["text"] for change in found["changes"]]

"""Screens of ``fit``, ``serve``, ``latency`` and ``scale``: five parts in the same order, and commands that work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest

from llmcalc.cli.main import main
from llmcalc.fitting.advice import MOST
from llmcalc.report.document import ASSUMED
from llmcalc.report.screen import MOST_LINES, MOST_NOTES

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 80
MODELS = ("llama3.1-8b", "deepseek-v3", "mamba2-2.7b", "qwen3-vl-8b", "bert", "t5-small")
GPUS = ("h200:8", "rtx4090", "l40s:3")
QUESTIONS = (
    "fit {} --gpu {}", "fit {} --gpu {} --seq 512 --batch 3001", "serve {} --gpu {}", "latency {} --gpu {}",
    "serve {} --gpu {} --isl 300 --osl 101 --concurrency 307",
)  # fmt: skip
OTHERS = (
    "fit kimi-k2 --gpu h200:8 --seq 8192 --batch 4", "fit llama3-70b h100", "fit llama3-8b 24GB --seq 8192",
    "fit llama3-70b h100 --solve quant", "fit llama3.1-8b h100 --solve seq", "fit llama3-70b h100 --solve gpus",
    "fit llama3-8b h100:8 --training --dp 8 --zero 3", "fit llama3-70b rtx4090 --solve gpu-layers --weights q4_k_m",
    "serve llama3.3-70b --gpu h100:8 --isl 4000 --osl 500 --concurrency 24",
    "serve llama3.3-70b --gpu h100:8 --isl 4000 --osl 500 --sla ttft=2s,tpot=30ms",
    "serve llama3.3-70b --gpu h100:8 --isl 4000 --osl 500 --sla ttft=2s,tpot=1ms",
    "serve llama3.3-70b --gpu h100:2 --isl 4000 --osl 500 --concurrency 500",
    "serve --gpu h100:8 -- vllm serve meta-llama/Llama-3.1-8B-Instruct -tp 3",
    "serve --gpu h100:4 -- vllm serve Qwen/Qwen3-32B -tp 4", "serve qwen3-8b --gpu rtx4090 --weights q4_k_m",
    "latency llama3.1-8b --gpu h100 --context 4096", "latency llama3.1-8b --gpu h100:4 --seq 1000 --new-tokens 100",
    "scale --compute 1e21", "scale --compute 1e21 --over params=1B..8B:x2", "scale --gpu h100:512 --days 30",
    "scale llama3-8b --tokens 15T", "scale --compute 1e23 --inference 10T", "scale --compute 1e22 --n-experts 64",
    "scale mixtral-8x7b --tokens 1T", "scale --loss 2.2",
)  # fmt: skip
LINES = (*(text.format(*case) for text, *case in product(QUESTIONS, MODELS, GPUS)), *OTHERS)


Screen = tuple[int, str, str]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Screen]:
    """Print the screen of a command line in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setenv("NO_COLOR", "1")

    def show(line: str) -> Screen:
        return main(shlex.split(line)), *capsys.readouterr()

    return show


@pytest.mark.parametrize("line", LINES)
def test_a_screen_has_five_parts_and_rests_on_what_it_says(line: str, shown: Callable[[str], Screen]) -> None:
    code, text, error = shown(line)
    if code == 2:
        assert error.startswith("error: ")
        return
    head, *parts = text.rstrip("\n").split("\n\n")
    lines = text.splitlines()
    assert len(lines) <= MOST_LINES
    assert all(len(each) <= COLUMNS or " --" in each for each in lines)
    kinds = [kind_of(part) for part in parts]
    assert kinds == [kind for kind in ("table", "next", "notes") if kind in kinds]
    assert sum(each.startswith(("note: ", "! ")) for each in lines) <= MOST_NOTES
    assert lines[-1].endswith("every table: --all")
    answer, _, assumed = head.partition(f"\n{ASSUMED}")
    assert len(answer.splitlines()) <= 3
    if assumed and " -- " not in line:
        again, other, error = shown(f"{line} {' '.join(assumed.split())}")
        assert not error
        assert (again, other.partition(f"\n{ASSUMED}")[0].partition("\n\n")[0]) == (code, answer)


def kind_of(part: str) -> str:
    """Return which part of a screen follows the answer."""
    if part.startswith(("note: ", "! ", "every table")) or re.match(r"\d+ more note", part):
        return "notes"
    return "next" if part.startswith("next ") else "table"


@pytest.mark.parametrize("line", OTHERS)
def test_what_to_try_next_keeps_its_promises(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    offers, running = (import_module(f"benchmarks.doors.{name}") for name in ("offers", "running"))
    asked = running.show(shlex.split(line))
    assert asked.document is not None
    assert asked.document.next is None or len(asked.document.next.rows) <= MOST
    found = list(offers.offers(asked))
    assert [(one.text, problem) for one in found if (problem := running.problem(asked, one))] == []

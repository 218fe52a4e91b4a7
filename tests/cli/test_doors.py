"""The same question through every door: random deployments of all presets, engines, GPUs and formats."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import llmcalc

CELLS, SEED = 250, 20261202
MOST_RULED, MOST_OTHER = 0.03, 0.01  # shares of the cells that differ by a rule of the engine, and that differ at all


@pytest.mark.parametrize("name", ["requests", "starts", "layout", "latency"])
def test_all_doors_have_one_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    question = import_module("benchmarks.doors.questions").QUESTIONS[name]
    asked, ruled, others = 0, 0, list[str]()
    for case in import_module("benchmarks.doors.cases").draw(CELLS, SEED):
        answers = question.ask(case)
        if set(answers.values()) == {None}:
            continue  # no door has an answer
        asked += 1
        if question.exception(case, answers):
            ruled += 1
        elif question.disagreement(answers) > question.allowed:
            others.append(f"{case.title}: {answers}")
    assert asked > CELLS / 4
    assert ruled <= MOST_RULED * asked
    assert len(others) <= MOST_OTHER * asked, others


@pytest.mark.parametrize(("name", "case"), [
    ("requests", ("deepseek-v2:236b", "h200:8", "vllm", 2, "fp8", 2048)),  # buffers grow with the longest request
    ("requests", ("qwen3.5-moe:35b-a3b", "h100:8", "vllm", 1, None, 2048)),  # states of fewer sequences than usual
    ("layout", ("deepseek-v4:flash", "l40s:4", "tensorrt-llm", 1, None, 32768)),  # stages that share the memory
    ("layout", ("deepseek-v2:236b", "a100-sxm-80gb:8", "sglang", 1, None, 131072)),
])  # fmt: skip
def test_doors_that_differed_have_one_answer(
    name: str, case: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    question = import_module("benchmarks.doors.questions").QUESTIONS[name]
    answers = question.ask(import_module("benchmarks.doors.cases").Case(*case))
    assert question.disagreement(answers) <= question.allowed, answers
    assert all(answers.values())


def test_requests_for_which_the_engine_does_not_start_have_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache holds the request after its prefill, but vLLM checks at its start the largest step of prefill, in which
    a sliding window holds all tokens of the step.
    """
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    cases, questions = (import_module(f"benchmarks.doors.{name}") for name in ("cases", "questions"))
    case = cases.Case("gpt-oss-120b", "h100", "vllm", 1, None, 131072)
    start = llmcalc.serve("gpt-oss-120b", "h100", tp=1, max_model_len=131072)
    assert start.concurrency.best < 1 < start.pool.requests(131072)
    assert questions.QUESTIONS["starts"].ask(case) == dict.fromkeys(("start", "times", "latency", "fit"), False)
    load = {"isl": 131070, "osl": 2, "concurrency": 1, "tp": 1}
    times = llmcalc.serve("gpt-oss-120b", "h100", **load)
    assert (times.summary, times.to_dict()["tpot_s"]) == (start.summary, None)
    assert not llmcalc.serve("gpt-oss-120b", "h100", **load, sla="tpot=1s").layouts


def test_json_says_what_it_counts_and_has_no_times_of_what_lacks_memory() -> None:
    load = {"isl": 1000, "osl": 500, "concurrency": 1000}
    some = llmcalc.serve("llama3.1-8b", "h100:3", tp=2, **load).to_dict()
    assert (some["gpus"], some["gpus_used"]) == (3, 2)
    assert some["requests_running"] + some["requests_waiting"] == 1000
    assert 0 < some["requests_running"] < 1000
    assert some["output_tokens_per_s"] == pytest.approx(2 * some["output_tokens_per_s_gpu"])
    none = llmcalc.serve("llama3.3-70b", "h100", **load)
    own = none.to_dict()
    assert (own["requests_running"], own["requests_waiting"], own["output_tokens_per_s"]) == (0, 1000, 0)
    assert {own[name] for name in ("tpot_s", "ttft_s", "tokens_per_s_user", "usd_per_million")} == {None}
    assert not own["parts"]
    assert none.point.tpot_s > 0
    batch = llmcalc.latency("llama3.1-8b", "h100:3", tp=2, batch=8).to_dict()
    assert (batch["gpus"], batch["gpus_used"], batch["requests_running"], batch["requests_waiting"]) == (3, 2, 8, 0)
    fit = llmcalc.fit("llama3.1-8b", "h100:3", tp=2, seq=8192, batch=1000).to_dict()
    assert fit["gpus_used"] == 2
    assert 0 < fit["requests_running"] == 1000 - fit["requests_waiting"] < 1000

"""The most requests that a given layout or command line serves within limits, which single calls confirm."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.errors import InputError
from llmcalc.search.serving_search import ServingSearch
from llmcalc.serving.limits import read_limits
from llmcalc.serving.result import ServingResult, class_times

QWEN = "vllm serve Qwen/Qwen3-8B -tp 2 --gpu-memory-utilization 0.6"
LENGTHS: dict[str, Any] = {"isl": 1700, "osl": 310}


def search(model: Any = None, gpu: str = "h100:2", **settings: Any) -> ServingSearch:
    found = llmcalc.serve(model, gpu, **{**LENGTHS, **settings})
    assert isinstance(found, ServingSearch)
    return found


def single(requests: float, model: Any = None, gpu: str = "h100:2", **settings: Any) -> ServingResult:
    found = llmcalc.serve(model, gpu, **{**LENGTHS, **settings}, concurrency=requests)
    assert isinstance(found, ServingResult)
    return found


def e2e(result: ServingResult) -> float:
    assert result.tpot_s is not None
    assert result.ttft_s is not None
    return result.ttft_s + (310 - 1) * result.tpot_s


@pytest.mark.parametrize(
    ("sla", "time", "limit"),
    [
        ("tpot=14ms", lambda one: one.tpot_s, 0.014),
        ("ttft<250ms", lambda one: one.ttft_s, 0.25),
        ("e2e=5s", e2e, 5.0),
    ],
)
def test_one_more_request_than_the_answer_of_a_command_line_exceeds_the_limit(
    sla: str, time: Any, limit: float
) -> None:
    found = search(command=QWEN, sla=sla)
    (one,) = found.layouts
    assert found.is_fixed
    assert one.mesh.tp == 2
    assert one.concurrency == int(one.concurrency) > 4
    assert time(single(one.concurrency, command=QWEN)) <= limit < time(single(one.concurrency + 1, command=QWEN))
    assert time(single(one.concurrency, command=QWEN)) == pytest.approx(
        {"tpot": one.tpot_s, "ttft": one.ttft_s, "e2e": one.times.e2e_s}[sla[:4].strip("=<")]
    )


def test_the_command_line_limits_the_running_requests() -> None:
    loose = search(command=f"{QWEN} --max-num-seqs 9", sla="e2e=900s")
    assert loose.layouts[0].concurrency == 9
    assert search("qwen3-8b", tp=2, max_num_seqs=9, sla="e2e=900s").layouts[0].concurrency == 9
    full = search(command="vllm serve Qwen/Qwen3-8B -tp 2 --gpu-memory-utilization 0.2", sla="e2e=900s")
    whole = int(full.layouts[0].concurrency)
    short = "vllm serve Qwen/Qwen3-8B -tp 2 --gpu-memory-utilization 0.2"
    assert single(whole, command=short).all_run
    assert not single(whole + 1, command=short).all_run


def test_layouts_that_are_given_as_sizes_are_kept() -> None:
    assert [one.mesh.tp for one in search("qwen3-8b", gpu="h100:4", tp=2, sla="tpot=20ms").layouts] == [2]
    assert [one.mesh.ranks for one in search("qwen3-8b", gpu="h100:4", tp=1, sla="tpot=20ms").layouts] == [1]
    divided = search("qwen3-moe-30b-a3b", gpu="h100:2", tp=1, dp=2, ep=2, sla="tpot=30ms").layouts
    assert [(one.mesh.dp, one.mesh.ep) for one in divided] == [(2, 2)]
    free = search("qwen3-8b", gpu="h100:4", sla="tpot=20ms")
    assert not free.is_fixed
    assert len(free.layouts) > 1


def test_unused_gpus_are_named_and_too_few_are_an_error() -> None:
    assert "the layout leaves 2 of 4 GPUs unused" in search("qwen3-8b", gpu="h100:4", tp=2, sla="tpot=20ms").notes
    with pytest.raises(InputError, match="needs 4 GPUs"):
        search("qwen3-8b", gpu="h100:2", tp=4, sla="tpot=20ms")


def test_a_given_number_of_requests_is_answered_with_yes_or_with_the_most() -> None:
    assert search("qwen3-8b", tp=2, concurrency=4, sla="tpot=20ms").is_found
    many = search("qwen3-8b", tp=2, concurrency=400, sla="tpot=20ms")
    assert not many.is_found
    (change, found), *_ = many.changes
    most = search("qwen3-8b", tp=2, sla="tpot=20ms").layouts[0].concurrency
    assert change == {"concurrency": most}
    assert found.is_found


@pytest.mark.parametrize(
    ("options", "rc", "text"),
    [
        (f"--sla e2e=20s -- {QWEN}", 0, "✓ tp 2: at most "),
        (f"--sla tpot=1us -- {QWEN}", 1, "✗ tp 2 does not meet the limits with 1 request: "),
    ],
)
def test_the_first_line_answers_how_many(
    options: str, rc: int, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["serve", "--gpu", "h100:2", "--isl", "1700", "--osl", "310", *options.split()]) == rc
    out = capsys.readouterr().out
    assert out.startswith(text)
    assert ("whole request" in out) is ("e2e" in options)


def test_the_time_of_a_whole_request_is_that_of_its_tokens_for_several_classes_too() -> None:
    found = search("llama3.1-8b", gpu="h100", mix="3000/500:0.5,400/100:0.5", isl=None, osl=None, tp=1, sla="e2e=9s")
    (one,) = found.layouts
    alone = single(one.concurrency, "llama3.1-8b", "h100", mix="3000/500:0.5,400/100:0.5", isl=None, osl=None)
    wholes = [whole for _, whole in class_times(alone)]
    assert one.times.e2e_s == pytest.approx(sum(wholes) / 2, rel=1e-3)
    assert one.e2e.low < one.times.e2e_s < one.e2e.high


def test_a_limit_of_the_whole_request_is_read() -> None:
    assert read_limits("e2e=10s,ttft<300ms") == {"e2e": 10.0, "ttft": 0.3}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"sla": "ttft=1s"}, "the 1,507 of max_model_len"),
        ({"pareto": True}, "the 1,507 of max_model_len"),
        ({"prefill_pool": "1x"}, "the 1,507 of max_model_len"),
        ({}, "the 1,507 of max_model_len"),
        ({"sla": "ttft=1s", "max_model_len": None, "isl": 200_000}, "the 131,072 that the model accepts"),
    ],
)
def test_the_limit_that_a_request_exceeds_is_named(settings: dict[str, Any], text: str) -> None:
    given = {"isl": 1400, "osl": 108, "max_model_len": 1507, **settings}
    found: Any = llmcalc.serve("llama3.1-8b", "h100:2", **given)
    assert found.too_long
    told = found.summary if isinstance(found, ServingResult) else found.too_long
    assert text in told


def test_a_command_line_names_the_limit_by_its_own_flag() -> None:
    command = "vllm serve meta-llama/Llama-3.1-8B-Instruct --max-model-len 1507"
    found = search(gpu="h100", command=command, sla="ttft=1s", isl=1400, osl=108)
    assert found.too_long == "Requests of 1,508 tokens exceed the 1,507 of --max-model-len. The longest: isl=1399"

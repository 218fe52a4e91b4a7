"""Layouts with which a serving engine keeps limits on the times of requests."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.report.serving_search import search_document
from llmcalc.search.serving_search import ServingSearch
from llmcalc.serving.limits import read_limits

LLAMA, QWEN = llmcalc.load("llama3.1-8b"), llmcalc.load("qwen3-moe-30b-a3b")


def search(model: Any = LLAMA, gpu: str = "h100:4", sla: str = "ttft<300ms,tpot<12ms", **change: Any) -> ServingSearch:
    found = llmcalc.serve(model, gpu, **{"isl": 1009, "osl": 499, **change}, sla=sla)
    assert isinstance(found, ServingSearch)
    return found


@pytest.mark.parametrize("model", [LLAMA, QWEN])
def test_layouts_keep_the_limits_and_are_the_times_of_a_single_call(model: Any) -> None:
    found = search(model, sla="ttft<400ms,tpot<15ms")
    assert found.is_found
    rates = [one.tokens_per_s_gpu / one.width for one in found.layouts]
    assert rates == sorted(rates, reverse=True)
    assert all(one.tpot_s < 0.015 for one in found.layouts)
    assert all(one.ttft_s < 0.4 for one in found.layouts)
    for one in found.layouts:
        if one.prefill:
            continue
        sizes = {"tp": one.mesh.tp, "dp": one.mesh.dp, "ep": one.mesh.ep}
        ranks = one.mesh.tp * one.mesh.dp
        own = llmcalc.serve(
            model, f"h100:{ranks}", isl=1009, osl=499, concurrency=one.concurrency / one.replicas, **sizes
        )
        assert own.tpot_s == pytest.approx(one.tpot_s)
        assert own.tokens_per_s_gpu == pytest.approx(one.tokens_per_s_gpu)
        assert ranks * one.replicas == 4


def test_a_stricter_limit_costs_throughput() -> None:
    loose, strict = search(sla="tpot<30ms"), search(sla="tpot<8ms")
    assert strict.layouts[0].tokens_per_s_gpu < loose.layouts[0].tokens_per_s_gpu
    prices = [found.layouts[0].usd_per_million_output for found in (strict, loose)]
    assert prices[0] is not None
    assert prices[1] is not None
    assert prices[0] > prices[1]


def test_a_limit_out_of_reach_names_the_closest_layout() -> None:
    found = search(sla="tpot<1us")
    assert not found.is_found
    assert found.layouts[0].mesh.tp == 4
    assert not any(one.keeps_limits for one in found.layouts)


def test_changes_that_meet_the_limits_are_computed() -> None:
    found = search(gpu="h100", sla="tpot<6ms,ttft<300ms")
    changes = {next(iter(change)): (change, one) for change, one in found.changes}
    assert set(changes) >= {"weights", "gpu"}
    for change, one in changes.values():
        again = search(gpu=change.get("gpu", "h100"), sla="tpot<6ms,ttft<300ms", **{
            name: value for name, value in change.items() if name != "gpu"})  # fmt: skip
        assert one.is_found
        assert again.layouts[0].tpot_s == pytest.approx(one.layouts[0].tpot_s)
    assert search(sla="tpot<12ms").changes == ()
    assert search(sla="tpot<1us").changes == ()


def test_fewer_requests_may_meet_the_limits() -> None:
    found = search(gpu="h100", sla="tpot<9ms,ttft<300ms", concurrency=211)
    assert not found.is_found
    ((change, one),) = [each for each in found.changes if "concurrency" in each[0]]
    assert one.is_found
    assert one.layouts[0].concurrency == change["concurrency"] < 211
    assert not search(gpu="h100", sla="tpot<9ms,ttft<300ms", concurrency=change["concurrency"] * 1.2).is_found


def test_only_mixtures_divide_experts() -> None:
    assert {one.mesh.ep for one in search(sla="tpot<1s").layouts} == {1}
    assert {one.mesh.ep for one in search(QWEN, sla="tpot<1s").layouts} > {1}


def test_a_model_that_does_not_fit_has_no_layout() -> None:
    assert search(llmcalc.load("deepseek-v3"), "h100:2").layouts == ()


def test_the_answer_names_gpus_on_which_the_requests_run() -> None:
    found = search(llmcalc.load("llama3.3-70b"), "h100:2", sla="tpot<1s,ttft<99s", concurrency=101)
    assert found.layouts == ()
    assert search_document(found).title == "✗ 101 requests do not run at once on 2 × NVIDIA H100 SXM5 80GB"
    change, one = next(each for each in found.changes if "concurrency" not in each[0])
    assert one.is_found
    assert next(iter(change)) in str(search_document(found).next)


def test_a_layout_within_the_interval_and_faster_formats_are_named() -> None:
    found = search(sla="tpot<12ms")
    safe = found.with_margin
    assert safe is not None
    assert safe.tpot.high <= 0.012 < found.layouts[0].tpot.high
    assert safe.tokens_per_s_gpu < found.layouts[0].tokens_per_s_gpu
    assert found.faster_formats is not None
    change, faster = found.faster_formats
    assert change == {"weights": "fp8", "cache": "fp8"}
    again = search(sla="tpot<12ms", **change)
    assert faster.layouts[0].tokens_per_s_gpu == pytest.approx(again.layouts[0].tokens_per_s_gpu)
    assert again.layouts[0].tokens_per_s_gpu > found.layouts[0].tokens_per_s_gpu
    document = search_document(found)
    assert "within the interval" in {fact.label for fact in document.facts}
    assert 'weights="fp8" cache="fp8"' in str(document.next)
    assert again.faster_formats is None
    assert search(sla="tpot<1us").faster_formats is None


def test_every_layout_has_a_request() -> None:
    for sla in ("ttft<100ms,tpot<5ms", "tpot<20ms"):
        assert all(one.concurrency >= 1 for one in search(sla=sla).layouts)


def test_limits_have_units() -> None:
    assert read_limits("tpot <= 0.5s,ttft<20us") == {"tpot": 0.5, "ttft": pytest.approx(2e-5)}


@pytest.mark.parametrize("text", ["", "tpot", "tpot<10", "tpot>10ms", "itl<10ms", "tpot<0ms", "tpot<1ms,tpot<2ms"])
def test_a_wrong_limit_is_named(text: str) -> None:
    with pytest.raises(InputError, match="sla"):
        search(sla=text)


@pytest.mark.parametrize(("text", "hint"), [("tpot<10", "add a unit"), ("itl<10ms", "use limits")])
def test_a_limit_without_a_unit_says_so(text: str, hint: str) -> None:
    with pytest.raises(InputError) as found:
        search(sla=text)
    assert found.value.hint.startswith(hint)


def test_limits_choose_the_layout() -> None:
    with pytest.raises(InputError, match="the layout is chosen"):
        llmcalc.serve(LLAMA, "h100:4", isl=1009, osl=499, pareto=True, tp=2)
    with pytest.raises(InputError, match="at least 2 output tokens"):
        search(osl=1)


def test_times_have_intervals_which_tell_a_margin() -> None:
    tight = search(sla="tpot<12ms")
    best = tight.layouts[0]
    assert best.tpot.low < best.tpot_s < 0.012 < best.tpot.high
    assert not tight.has_margin
    assert search(sla="tpot<9s").has_margin
    assert not search(sla="tpot<1us").has_margin
    found = tight.to_dict()["layouts"][0]
    assert (found["tpot_low_s"], found["tpot_high_s"]) == (best.tpot.low, best.tpot.high)


def test_a_given_number_of_requests_is_kept() -> None:
    found = search(sla="tpot<15ms", concurrency=61)
    assert {one.concurrency for one in found.layouts} == {61}
    own = next(one for one in found.layouts if not one.prefill)
    ranks = own.mesh.tp * own.mesh.dp
    alone = llmcalc.serve(LLAMA, f"h100:{ranks}", isl=1009, osl=499, tp=own.mesh.tp, concurrency=61 / own.replicas)
    assert alone.tpot_s == pytest.approx(own.tpot_s)


def test_prices_are_those_of_a_single_call() -> None:
    best = search(gpu="h100", sla="tpot<20ms", price=2.5)
    one = llmcalc.serve(LLAMA, "h100", isl=1009, osl=499, concurrency=best.layouts[0].concurrency, price=2.5)
    assert best.layouts[0].usd_per_million_output == pytest.approx(one.usd_per_million_output)


def test_a_request_longer_than_the_model_allows_has_no_layout() -> None:
    found = search(isl=131_000, sla="tpot<1s")
    assert found.too_long
    assert found.layouts == ()
    assert not found.is_found


def test_the_command_lines_use_all_gpus() -> None:
    lengths: dict[str, Any] = {"isl": 1024, "osl": 500}
    dense = llmcalc.serve("llama3.3-70b", "h100:8", weights="fp8", sla="ttft=500ms,tpot=20ms", **lengths)
    first = dense.layouts[0]
    assert (first.replicas, dict(first.processes)) == (2, {"serve": 1})
    line = first.commands["serve"]
    again: Any = llmcalc.serve(command=line, gpu="h100:8", concurrency=first.concurrency, **lengths)
    assert again.mesh.ranks == 8
    assert again.tokens_per_s_gpu == pytest.approx(first.tokens_per_s_gpu, rel=0.01)
    for one in dense.layouts:
        started = {role: one.processes[role] * llmcalc.serve(command=text, gpu="h100:8").ranks
                   for role, text in one.commands.items()}  # fmt: skip
        assert sum(started.values()) == 8, started


def test_replicas_of_a_mixture_are_processes() -> None:
    found = llmcalc.serve("qwen3-30b-a3b", "h100:4", isl=1024, osl=500, sla="tpot=20ms")
    several = [one for one in found.layouts if one.replicas > 1 and not one.prefill]
    assert several
    assert all(one.processes["serve"] == one.replicas for one in several)


def test_the_first_layout_has_the_highest_low_end() -> None:
    found = llmcalc.serve("llama3.3-70b", "h100:8", weights="fp8", isl=1024, osl=500, sla="ttft=500ms,tpot=20ms")
    assert found.layouts[0].tokens_per_s_gpu_range[0] == max(one.tokens_per_s_gpu_range[0] for one in found.layouts)
    text = str(search_document(found).notes)
    assert ("low end of tokens/s per GPU" in text) == any(
        one.tokens_per_s_gpu > found.layouts[0].tokens_per_s_gpu for one in found.layouts
    )

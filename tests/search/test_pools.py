"""A given division of the GPUs into two pools: its times are those of the search, and what limits it is named."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.report.points import layout_text
from llmcalc.report.serving_pools import pools_document
from llmcalc.search.pools import ServingPools

LLAMA = llmcalc.load("llama3.1-8b")


def pools(pool: str = "2x", gpu: str = "h100:4", model: Any = LLAMA, **change: Any) -> ServingPools:
    found = llmcalc.serve(model, gpu, **{"isl": 1009, "osl": 499, "prefill_pool": pool, **change})
    assert isinstance(found, ServingPools)
    return found


def test_times_are_those_of_the_search() -> None:
    chosen = llmcalc.serving_front(LLAMA, "h100:4", isl=1009, osl=499, weights="bf16", cache="bf16").points
    one = next(each for each in chosen if each.prefill)
    assert one.prefill is not None
    sizes = "".join(f"{name}{size}" for name, size in one.prefill.sizes.items())
    found = pools(f"{one.prefill.replicas}x{sizes}", concurrency=one.concurrency, weights="bf16", cache="bf16",
                  tp=one.mesh.tp)  # fmt: skip
    assert found.layout is not None
    for name in ("tpot_s", "ttft_s", "requests_per_s", "prefill_share"):
        assert getattr(found.layout.times, name) == pytest.approx(getattr(one.times, name))
    assert dict(found.layout.commands) == dict(one.commands)


def test_requests_are_in_one_of_the_pools() -> None:
    for concurrency in (1, 23):
        one = pools("1x", concurrency=concurrency).layout
        assert one is not None
        assert one.requests_per_s * (one.ttft_s + 498 * one.tpot_s) == pytest.approx(concurrency, rel=0.02)


def test_more_requests_make_prefills_busier() -> None:
    few, many = (pools("1x", concurrency=number).layout for number in (5, 60))
    assert few is not None
    assert many is not None
    assert few.prefill is not None
    assert many.prefill is not None
    assert few.times.busy < many.times.busy < 0.96
    assert few.times.wait_s < many.times.wait_s
    assert few.times.transfer_s == many.times.transfer_s


def test_what_limits_the_requests_is_named() -> None:
    found = pools("1x", concurrency=3001)
    assert (found.layout, found.limit) == (None, "prefills")
    assert pools("1x", concurrency=found.most).layout is not None
    assert found.suggested is None
    fewer = pools("1x", concurrency=2 * found.most)
    assert fewer.suggested is not None
    assert fewer.suggested.concurrency == 2 * found.most
    assert f". They run on {layout_text(fewer.suggested)}" in pools_document(fewer).title
    long = pools("3x", isl=29_989, osl=4999, concurrency=991)
    assert (long.layout, long.limit) == (None, "KV cache")
    assert pools("1x", "h100:2", llmcalc.load("llama3.3-70b")).limit == "memory"


def test_pools_with_experts() -> None:
    found = pools("1xdp2ep2", "h100:4", llmcalc.load("qwen3-moe-30b-a3b"), dp=2, ep=2, concurrency=31)
    assert found.layout is not None
    assert (found.layout.mesh.dp, found.layout.mesh.ep, found.layout.replicas) == (2, 2, 1)


@pytest.mark.parametrize(("pool", "message"), [
    ("2", "invalid pool"), ("0x", "invalid pool"), ("2xtp0", "invalid pool"), ("1xtp2tp2", "invalid pool"),
    ("1xpp2", "invalid pool"), ("1xtp3ep2", "ep must divide"), ("4x", "takes 4 of 4 GPUs"),
    ("1xtp3", "prefill_pool: the model does not allow"),
])  # fmt: skip
def test_a_wrong_pool_is_named(pool: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pools(pool)


@pytest.mark.parametrize(("gpu", "change", "message"), [
    ("h100", {}, "needs at least 2 GPUs, not 1"), ("h100:2", {"osl": 1}, "needs at least 2 output tokens"),
    ("h100:2", {"engine": "llama.cpp"}, "needs an engine with two pools, not llama"),
])  # fmt: skip
def test_a_missing_condition_of_two_pools_is_named(gpu: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pools("1x", gpu, **change)


def test_an_assumed_number_of_requests_is_said() -> None:
    text = ("one request at a time is assumed: {concurrency} sets the number",)
    assert pools().notes == text
    assert pools(concurrency=1).notes == ()


def test_a_layout_that_leaves_gpus_over_is_refused() -> None:
    with pytest.raises(InputError, match="takes 1 of 4 GPUs"):
        pools("1x", tp=2)
    with pytest.raises(InputError, match="cannot be combined with a search"):
        pools(sla="tpot<20ms")


def test_one_request_is_answered_unless_their_number_is_given() -> None:
    assert [pools("1x", concurrency=number).concurrency for number in (None, 23)] == [1, 23]
    assert pools("1x").to_dict()["concurrency"] == 1


def test_pools_change_no_answer_without_them() -> None:
    model, load = llmcalc.load("llama3.1-8b"), {"isl": 3001, "osl": 103}
    llmcalc.serving_front(model, "h100:2", **load)
    kernels = llmcalc.serve(model, "h100", concurrency=7, **load).kernels
    assert kernels == llmcalc.serve("llama3.1-8b", "h100", concurrency=7, **load).kernels
    assert "collectives all-gather" not in kernels

"""Mixes, cached prefixes and drafted tokens in searches and in two pools: the laws that a single deployment keeps."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.arrays import Vector
from llmcalc.core.errors import InputError
from llmcalc.inputs.gpus import accelerators
from llmcalc.report.serving_front import front_document
from llmcalc.report.serving_pools import pools_document
from llmcalc.report.serving_search import search_document
from llmcalc.search.space import Space
from llmcalc.serving import requests as request_lengths
from llmcalc.serving.pool_times import decodes, pools_time, prefills
from llmcalc.serving.request_times import Load, plain_pool, serving_time
from llmcalc.serving.requests import RequestClass, Requests, read_requests
from llmcalc.serving.service import Service
from llmcalc.serving.step.draft_steps import Speculation
from llmcalc.serving.step.step_models import step_model

LLAMA = llmcalc.load("llama3.1-8b")
H100 = accelerators()["h100-sxm"]
STEPS = step_model(LLAMA, H100, Mesh(), "vllm")
LARGE, SMALL = plain_pool(STEPS, 1e15), plain_pool(STEPS, 3e10)
DRAFT = step_model(llmcalc.load("llama3.2-1b"), H100, Mesh(), "vllm")
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
NONE = dict.fromkeys(("weights", "experts", "attention_weights", "cache"))
WORKLOADS: dict[str, dict[str, Any]] = {
    "mix": {"mix": "4001/499:0.7,503/211:0.3"},
    "prefix": {"isl": 2003, "osl": 307, "prefix_share": 0.4},
    "turns": {"isl": 1009, "osl": 211, "turns": 3},
    "draft": {"isl": 1009, "osl": 499, "draft": "llama3.2-1b", "draft_tokens": 3, "acceptance_length": 2.7},
    "all": {"mix": "4001/499:0.7,503/211:0.3", "prefix_share": 0.3, "draft": "llama3.2-1b", "draft_tokens": 3,
            "acceptance_rate": 0.6},
}  # fmt: skip

classes = st.lists(
    st.builds(RequestClass, st.integers(17, 8009).map(float), st.integers(2, 997).map(float), st.floats(0.1, 1.0),
              st.just(0.0), st.just("")),
    min_size=1, max_size=4,
)  # fmt: skip
drafts = st.sampled_from([None, Speculation(3, 1, 4, 2.3, DRAFT), Speculation(4, 1, 5, 1.9, None)])


@st.composite
def loads(draw: Any) -> Load:
    own, share = draw(classes), draw(st.sampled_from([0.0, 0.3, 0.9]))
    cached = tuple(each._replace(cached=share * each.isl) for each in own)
    return Requests(cached, {}, 0.0, is_shared=draw(st.booleans())).load()


@FEW
@given(loads(), drafts, st.integers(1, 40))
@example(read_requests(4096, 2).load(), None, 8)  # prefills leave room for few of these requests in a step
def test_a_step_of_the_second_pool_is_that_of_a_single_deployment_that_decodes_as_many_sequences(
    load: Load, drafted: Speculation | None, batch: int
) -> None:
    def seconds(sequences: float) -> float:
        return float(np.squeeze(decodes(STEPS, load, np.array([sequences]), LARGE, None, drafted).step.seconds))

    own = serving_time(STEPS, load._replace(concurrency=float(batch)), LARGE, None, drafted)
    decoding = float(np.squeeze(own.decoding))
    assert 1 <= decoding <= batch
    assert seconds(decoding) == pytest.approx(float(own.step.seconds))
    assert seconds(batch) >= seconds(decoding)  # without prefills, a step decodes all running requests
    if batch == 1:  # without a prefill of other requests
        accepted = drafted.accepted if drafted else 1
        assert seconds(batch) / accepted == pytest.approx(float(own.tpot_s))
    assert decodes(STEPS, load, float(batch), SMALL, None, drafted).capacity == pytest.approx(
        serving_time(STEPS, load, SMALL, None, drafted).capacity
    )


@FEW
@given(loads(), drafts)
def test_pools_keep_little_s_law_and_equal_rates(load: Load, drafted: Speculation | None) -> None:
    batch = np.array([1.0, 7.0, 53.0])
    first, second = prefills(STEPS, load, LARGE, drafted), decodes(STEPS, load, batch, LARGE, None, drafted)
    assert first is not None
    time = pools_time(first, second, (2, 3), load, same_node=True)
    osl = float(np.squeeze(load.mean(load.osl)))
    assert time.tpot_s.shape == time.concurrency.shape == (3,)
    assert time.concurrency == pytest.approx(time.requests_per_s * (time.ttft_s + (osl - 1) * time.tpot_s))
    assert time.requests_per_s == pytest.approx(3 * batch / ((osl - 1) * time.tpot_s))
    own = time.ttft_s - first.server_s - time.wait_s - time.transfer_s
    alone, full = (float(np.squeeze(load.mean(seconds))) for seconds in (first.alone_s, first.step_s))
    assert own == pytest.approx(alone + np.minimum(time.busy, 1) * (full - alone))
    if drafted:
        plain = prefills(STEPS, load, LARGE)
        assert plain is not None
        assert np.all(first.alone_s >= plain.alone_s)
        assert np.all(first.cache_bytes >= plain.cache_bytes)


@FEW
@given(loads(), drafts)
def test_a_pool_of_prefills_that_waits_for_nobody_is_at_most_a_mixed_step(
    load: Load, drafted: Speculation | None
) -> None:
    first = prefills(STEPS, load, LARGE, drafted)
    assert first is not None
    whole = load if load.shares is not None else load._replace(shares=None)
    if np.all(whole.cached == whole.shared):  # otherwise it computes answers again
        own = serving_time(STEPS, whole, LARGE, None, drafted)
        assert float(np.squeeze(load.mean(first.alone_s))) <= float(own.ttft_s) * 1.02


@FEW
@given(classes, st.integers(2, 5))
def test_equal_classes_are_one_class(own: list[RequestClass], number: int) -> None:
    one, many = (Requests((own[0],) * times, {}, 0.0).load() for times in (1, number))
    found = [
        pools_time(prefills(STEPS, load, LARGE), decodes(STEPS, load, 7.0, LARGE), (1, 1), load, same_node=True)
        for load in (one, many)
    ]
    for first, second in zip(*found, strict=True):
        assert first == pytest.approx(second)


@FEW
@given(loads(), drafts)
def test_pools_need_no_numpy(load: Load, drafted: Speculation | None) -> None:
    if load.shares is None:
        return
    vectors = Load(*(Vector(own.tolist()) if hasattr(own, "tolist") else own for own in load))
    one, other = (
        pools_time(
            prefills(STEPS, own, SMALL, drafted), decodes(STEPS, own, 7.0, SMALL, None, drafted), (1, 2), own,
            same_node=False,
        )
        for own in (load, vectors)
    )  # fmt: skip
    for first, second in zip(one, other, strict=True):
        assert first == pytest.approx(second, rel=1e-12)


def test_different_prefills_wait_as_pollaczek_and_khinchine_say() -> None:
    load = read_requests(mix="8009/499:0.5,20011/499:0.5").load()  # longer than a step: one prompt at once
    first, second = prefills(STEPS, load, LARGE), decodes(STEPS, load, 5.0, LARGE)
    assert first is not None
    time = pools_time(first, second, (1, 1), load, same_node=True)
    assert 0.1 < time.busy < 0.9
    squares = sum(first.step_s**2) / 2
    assert time.wait_s == pytest.approx(time.requests_per_s * squares / 2 / (1 - time.busy))


def test_a_pool_of_prefills_has_no_answers() -> None:
    turns, shared = read_requests(1009, 211, turns=2), read_requests(2229, 211, prefix_share=1220 / 2229)
    (_, later), other = prefills(STEPS, turns.load(), LARGE)[0], prefills(STEPS, shared.load(), LARGE)
    assert other is not None
    assert later > other.alone_s  # 211 more tokens
    tokens = read_requests(2229, 211, prefix_share=1009 / 2229).load()
    expected = prefills(STEPS, tokens, LARGE)
    assert expected is not None
    assert later == pytest.approx(expected.alone_s)


@pytest.mark.parametrize("name", WORKLOADS)
def test_layouts_of_a_search_are_those_of_a_single_call(name: str) -> None:
    own = WORKLOADS[name]
    for one in llmcalc.serve(LLAMA, "h100:4", sla="ttft<2s,tpot<15ms", **own).layouts:
        pool, mesh = one.prefill, {"tp": one.mesh.tp}
        if pool is None:
            gpu = f"h100:{one.mesh.tp}"
            alone = llmcalc.serve(LLAMA, gpu, concurrency=one.concurrency / one.replicas, **mesh, **own)
            assert alone.all_run
        else:
            sizes = f"{pool.replicas}x" + "".join(f"{key}{size}" for key, size in pool.sizes.items())
            alone = llmcalc.serve(
                LLAMA, "h100:4", concurrency=one.concurrency, prefill_pool=sizes, **mesh, **own
            ).layout
        assert alone.tpot_s == pytest.approx(one.tpot_s)
        assert alone.ttft_s == pytest.approx(one.ttft_s)
        assert alone.tokens_per_s_gpu == pytest.approx(one.tokens_per_s_gpu)


@pytest.mark.parametrize("name", WORKLOADS)
def test_looser_limits_give_more_throughput(name: str) -> None:
    rates = []
    for limit in (9, 12, 20, 50):
        found = llmcalc.serve(LLAMA, "h100:4", sla=f"tpot<{limit}ms,ttft<2s", **WORKLOADS[name])
        kept = [one for one in found.layouts if one.keeps_limits]
        rates.append(max((one.tokens_per_s_gpu / one.width for one in kept), default=0.0))
    assert rates == sorted(rates)
    assert rates[-1] > 0


def test_cached_prefixes_and_accepted_tokens_give_more_throughput() -> None:
    def best(**change: Any) -> float:
        own = {"isl": 3001, "osl": 307, "sla": "tpot<12ms,ttft<1s", **change}
        return max(one.tokens_per_s_gpu for one in llmcalc.serve(LLAMA, "h100:4", **own).layouts)

    rates = [best(prefix_share=share) for share in (0.0, 0.3, 0.6, 0.9)]
    assert rates == sorted(rates)
    drafted = [best(draft="llama3.2-1b", draft_tokens=3, acceptance_length=length) for length in (1.2, 2.0, 3.9)]
    assert drafted == sorted(drafted)
    assert drafted[-1] > best()


def test_workloads_need_no_numpy_in_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = llmcalc.serve(LLAMA, "h100:2", sla="tpot<15ms,ttft<2s", **WORKLOADS["all"]).to_dict()
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert request_lengths.vector([1.0]).values == [1.0]
    alone = llmcalc.serve(llmcalc.load("llama3.1-8b"), "h100:2", sla="tpot<15ms,ttft<2s", **WORKLOADS["all"]).to_dict()
    for one, other in zip(usual["layouts"], alone["layouts"], strict=True):
        assert one["tokens_per_s_gpu"] == pytest.approx(other["tokens_per_s_gpu"])
        assert one["ttft_s"] == pytest.approx(other["ttft_s"])


def test_given_settings_limit_a_search() -> None:
    free, few = (
        llmcalc.serve(LLAMA, "h100", isl=211, osl=211, sla="tpot<50ms", **own).layouts
        for own in ({}, {"max_num_seqs": 31})
    )
    assert few[0].concurrency <= 31 < free[0].concurrency
    assert "--max-num-seqs 31" in few[0].commands["serve"]
    assert llmcalc.serve(LLAMA, "h100", isl=211, osl=211, sla="tpot<50ms", max_model_len=400).too_long
    with pytest.raises(InputError, match="draft_tokens"):
        llmcalc.serve(LLAMA, "h100", isl=211, osl=211, sla="tpot<50ms", draft="llama3.2-1b", draft_tokens=99)


def test_reports_name_the_requests_and_the_drafted_tokens() -> None:
    own = {"mix": "4001/499:0.7,503/211:0.3", "draft": "llama3.2-1b"}
    found = llmcalc.serve(LLAMA, "h100:2", sla="tpot<50ms", **own)
    front = llmcalc.serving_front(LLAMA, "h100:2", weights="bf16", cache="bf16", **own)
    pools = llmcalc.serve(LLAMA, "h100:2", isl=307, osl=211, turns=3, prefill_pool="1x", draft="llama3.2-1b")
    for document, text in (
        (search_document(found), "mix 4001/499:0.7,503/211:0.3"),
        (front_document(front), "mix 4001/499:0.7,503/211:0.3"), (pools_document(pools), "turns 3"),
    ):  # fmt: skip
        assert any(text in line for line in document.subtitle)
        rows = document.summary.rows if document.summary else ()
        assert "tokens per step" in {*(fact.label for fact in document.facts), *(row[0] for row in rows)}
        assert any(note.startswith("tokens per step: ") for note in document.notes)
    assert "the pool of prefills computes the last answer again with each turn" in pools_document(pools).notes
    assert found.evidence == {"layouts": "assumed"}
    inputs = search_document(found).data()["inputs"]
    assert inputs["mix"] == own["mix"]
    assert inputs["isl"] == pytest.approx(0.7 * 4001 + 0.3 * 503)


def test_sglang_caches_no_prefixes_where_it_decodes() -> None:
    requests = read_requests(2003, 307, prefix_share=0.6)
    vllm, sglang = (Space(Service(LLAMA, H100, 2, requests, engine)) for engine in ("vllm", "sglang"))
    one, other = (search.prefills(search.single) for search in (vllm, sglang))
    assert one is not None
    assert other is not None
    assert other.cache_bytes == pytest.approx(one.cache_bytes / 0.4, rel=1e-3)
    assert sglang.decode_load.shared == 0 < vllm.decode_load.shared


@pytest.mark.parametrize(
    ("model", "gpu", "first"),
    [
        ("qwen3-30b-a3b", "rtx3060", {"engine": "llama.cpp", "weights": "q4_k_m"}),  # experts in host memory
        ("llama3.3-70b", "rtx4090", {"engine": "llama.cpp", "weights": "q4_k_m"}),  # layers in host memory
        ("gpt-oss-120b", "rtx3060", {"engine": "llama.cpp", "weights": "mxfp4_moe"}),
        ("qwen3-32b", "rtx4090", {"weights": "awq-int4-g128"}),
        ("llama3.3-70b", "h100", {"weights": "fp8"}),
    ],
)
def test_a_model_that_does_not_fit_is_offered_other_formats_on_the_same_gpu(
    model: str, gpu: str, first: dict[str, str]
) -> None:
    result = llmcalc.serve(model, gpu, isl=2048, osl=300)
    assert not result.fits
    assert result.holding_change == first
    again = llmcalc.serve(model, gpu, isl=2048, osl=300, **first)
    assert again.fits
    assert again.tpot_s == result.changes[0][1].tpot_s


@pytest.mark.parametrize("given", [{"engine": "vllm"}, {"command": "vllm serve Qwen/Qwen3-30B-A3B"}])
def test_a_given_engine_is_not_changed(given: dict[str, str]) -> None:
    model = None if "command" in given else "qwen3-30b-a3b"
    result = llmcalc.serve(model, "rtx3060", isl=2048, osl=300, **given)
    assert not any("engine" in change for change, _ in result.changes)

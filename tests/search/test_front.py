"""The front of serving: no point is beaten, all points are those of a single call, and pools have equal rates."""

from __future__ import annotations

import sys
from itertools import pairwise
from math import log
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.errors import InputError
from llmcalc.inputs.gpus import accelerators
from llmcalc.report.points import layout_text
from llmcalc.report.serving_front import front_document, spread_points
from llmcalc.report.serving_search import search_document
from llmcalc.search.front import ServingFront
from llmcalc.search.space import Space
from llmcalc.serving.formats import format_choices
from llmcalc.serving.pool_times import decodes, pools_time, prefills
from llmcalc.serving.replicas import replica_on
from llmcalc.serving.request_times import Load, plain_pool
from llmcalc.serving.requests import read_requests
from llmcalc.serving.service import Service
from llmcalc.serving.step.step_models import step_model

LLAMA, QWEN = llmcalc.load("llama3.1-8b"), llmcalc.load("qwen3-moe-30b-a3b")
NONE = dict.fromkeys(("weights", "experts", "attention_weights", "cache"))
H100 = accelerators()["h100-sxm"]


def front(model: Any = LLAMA, gpu: str = "h100:4", **change: Any) -> ServingFront:
    return llmcalc.serving_front(model, gpu, **{"isl": 1009, "osl": 499, **change})


@pytest.mark.parametrize("model", [LLAMA, QWEN])
def test_points_are_those_of_a_single_call_and_none_is_beaten(model: Any) -> None:
    found = front(model)
    users, gpus = ([getattr(one, f"tokens_per_s_{name}") for one in found.points] for name in ("user", "gpu"))
    assert users == sorted(users, reverse=True)
    assert gpus == sorted(gpus)
    together = [one for one in found.points if not one.prefill]
    assert together
    for one in together[::7]:
        ranks = one.mesh.tp * one.mesh.dp
        own = llmcalc.serve(
            model, f"h100:{ranks}", isl=1009, osl=499, concurrency=one.concurrency / one.replicas,
            **one.placement.sizes, **one.formats,
        )  # fmt: skip
        assert own.tpot_s == pytest.approx(one.tpot_s)
        assert own.ttft_s == pytest.approx(one.ttft_s)
        assert own.tokens_per_s_gpu == pytest.approx(one.tokens_per_s_gpu)
    tried = Space(Service(model, H100, 4, read_requests(1009, 499), "vllm"), format_choices(model, H100, NONE))
    for times in tried.times():  # within the distance of two points
        for point in times.points:
            rate = point.requests_per_s * 499 / times.placement.gpus
            faster = [gpu for user, gpu in zip(users, gpus, strict=True) if user >= 1 / point.tpot_s]
            assert not point.runs or rate <= 1.031 * max(faster, default=0)


def test_listed_points_keep_the_ends_and_have_no_gap() -> None:
    points = front(llmcalc.load("llama3.3-70b"), "h100:8", isl=4000, osl=500).points
    listed = spread_points(points, 10)
    assert len(listed) == 10
    assert (listed[0], listed[-1]) == (points[0], points[-1])
    last = {layout_text(one): one for one in points}
    assert all(one in listed for one in last.values())
    users = [log(one.tokens_per_s_user) for one in points]
    gaps = [log(one.tokens_per_s_user / other.tokens_per_s_user) for one, other in pairwise(listed)]
    widest = max(one - other for one, other in pairwise(users))
    assert max(gaps) <= 1.3 * widest
    assert spread_points(points[:5], 10) == list(points[:5])
    assert "10 of" in front_document(front(llmcalc.load("llama3.3-70b"), "h100:8")).tables[0].title


def test_the_front_is_at_least_that_of_a_smaller_choice() -> None:
    most, fewer = front(), front(weights="bf16", cache="bf16")
    assert len(most.points) > len(fewer.points)
    assert most.points[-1].tokens_per_s_gpu > fewer.points[-1].tokens_per_s_gpu
    assert {one.formats.get("weights") for one in fewer.points} == {"bf16"}
    assert set(most.fronts) > {"as published", "weights fp8 cache fp8"}


def test_points_keep_limits() -> None:
    found = front(sla="ttft<80ms,tpot<9ms")
    assert found.points
    assert all(one.ttft_s <= 0.08 and one.tpot_s <= 0.009 for one in found.points)
    failed = front(sla="tpot<1us")
    assert failed.points == ()
    assert failed.closest is not None
    assert failed.closest.tpot_s == pytest.approx(min(one.tpot_s for one in front().points), rel=0.01)
    assert found.closest is None


def test_formats_that_the_gpu_cannot_compute_in_are_not_tried() -> None:
    assert {tuple(one.formats) for one in front(gpu="a100-sxm-80gb:2").points} == {()}
    assert {one.formats.get("weights") for one in front(llmcalc.load("deepseek-v3"), "h200:8").points} == {None}


def test_every_point_has_a_command_line_that_starts() -> None:
    for one in front().points[::9]:
        for role, line in one.commands.items():
            assert ("--kv-transfer-config" in line) is (role != "serve")
            words = line.partition(" --kv-transfer-config")[0]
            assert llmcalc.serve(gpu="h100:4", command=words).starts, words
    wide = front(max_num_batched_tokens=2048).points[0]
    assert "--max-num-batched-tokens 2048" in next(iter(wide.commands.values()))
    assert "--disaggregation-mode prefill" in str(front(engine="sglang").to_dict())


def test_the_front_is_the_same_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = front(gpu="h100:2", cache="bf16").to_dict()
    monkeypatch.setitem(sys.modules, "numpy", None)
    alone = front(llmcalc.load("llama3.1-8b"), gpu="h100:2", cache="bf16").to_dict()
    for one, other in zip(usual["points"], alone["points"], strict=True):
        assert one["commands"] == other["commands"]
        assert one["tokens_per_s_gpu"] == pytest.approx(other["tokens_per_s_gpu"])


def test_the_layout_is_not_an_input() -> None:
    with pytest.raises(InputError, match="the layout is chosen"):
        llmcalc.serve(LLAMA, "h100:4", isl=101, osl=53, pareto=True, tp=2)
    with pytest.raises(InputError, match="missing number of tokens"):
        llmcalc.serve(LLAMA, "h100:4", pareto=True)


def test_a_request_that_is_too_long_has_no_points() -> None:
    found = front(isl=131_000)
    assert found.too_long
    assert found.points == ()


def steps(tp: int, model: Any = LLAMA) -> Any:
    return step_model(model, H100, Mesh(tp=tp), "vllm")


def test_pools_have_equal_rates_and_keep_littles_law() -> None:
    load, batch = Load(1009, 499, 1), np.array([3.0, 17.0, 53.0])
    first, second = prefills(steps(1), load), decodes(steps(2), load, batch)
    assert first is not None
    time = pools_time(first, second, (2, 3), load, same_node=True)
    assert time.requests_per_s == pytest.approx(3 * batch / (498 * second.step.seconds))
    assert time.busy == pytest.approx(time.requests_per_s * first.step_s / (2 * first.prompts))
    assert time.concurrency == pytest.approx(time.requests_per_s * (time.ttft_s + 498 * time.tpot_s))
    alone = steps(2).step({**dict.fromkeys("npa", 0.0), "b": batch, "q": 1.0, "c": 1257.5, "k": 1258.5, "s": 1258.5},
                          scheduled=True).seconds  # fmt: skip
    assert time.tpot_s == pytest.approx(alone)  # no prefill of other requests


def test_prefills_wait_as_in_a_queue_with_one_server() -> None:
    load = Load(9973, 499, 1)  # longer than a step: one prompt at once
    first, second = prefills(steps(1), load), decodes(steps(1), load, np.array([7.0]))
    assert first is not None
    assert first.prompts == 1
    time = pools_time(first, second, (1, 1), load, same_node=True)
    assert 0.1 < time.busy[0] < 0.9
    assert time.wait_s == pytest.approx(first.step_s / 2 * time.busy / (1 - time.busy))
    assert pools_time(first, second, (2, 2), load, same_node=True).wait_s < time.wait_s


def test_keys_and_values_are_sent_over_the_slower_side_and_the_network() -> None:
    load = Load(1009, 499, 1)
    (first, second), link = (prefills(steps(4), load), decodes(steps(1), load, np.array([7.0]))), H100.link[1]
    assert first is not None
    assert link is not None
    near, far = (pools_time(first, second, (1, 1), load, same_node=own).transfer_s for own in (True, False))
    assert near > plain_pool(steps(1), 0.0).bytes_of(1009) / (link / 2)
    assert far / near == pytest.approx(link / 2 / 50e9)


def test_long_prompts_and_short_answers_need_more_prefill() -> None:
    shares = []
    for isl, osl in ((4999, 101), (997, 499)):
        found = front(gpu="h100:8", isl=isl, osl=osl, weights="bf16", cache="bf16", sla="tpot<12ms")
        best = max((one for one in found.points if one.prefill), key=lambda one: one.tokens_per_s_gpu)
        assert best.prefill is not None
        shares.append(best.times.prefill_share)
    assert shares[0] > shares[1]


def test_stages_store_a_part_of_the_layers_and_compute_batches_in_turn() -> None:
    model = llmcalc.load("llama3.3-70b")
    search = Space(Service(model, H100, 16, read_requests(1009, 499), "vllm"))
    own = {tuple(one.sizes.items()): one for one in search.replicas}
    plain, staged = own[(("tp", 8),)], own[("tp", 8), ("pp", 2)]
    assert staged.ranks == 2 * plain.ranks
    assert plain.pool is not None
    assert staged.pool is not None
    assert staged.pool.space > 1.1 * plain.pool.space
    one, two = search.together(plain).points[40], search.together(staged).points[40]
    assert two.concurrency == one.concurrency  # two replicas, or two batches
    waits = 1 + staged.steps.engine.stage_wait
    assert 1 < two.tpot_s / waits / one.tpot_s < 1.05  # the transfer between the stages
    assert one.requests_per_s / waits / 1.05 < two.requests_per_s < one.requests_per_s
    assert "--pipeline-parallel-size 2" in (staged.command(1508, 7) or "")
    assert not any(one.mesh.pp > 1 for one in Space(Service(model, H100, 8, search.requests, "vllm")).replicas)


@pytest.mark.parametrize("gpu", [None, "80GB"])
def test_a_front_without_the_name_of_a_gpu_is_refused(gpu: str) -> None:
    with pytest.raises(InputError, match="needs the name of a GPU"):
        llmcalc.serving_front("gpt2", gpu, isl=101, osl=103)


def test_fronts_have_the_rates_of_their_points() -> None:
    found = front(gpu="h100:2", osl=2)
    assert {name.rpartition(", ")[2] for name in found.fronts} >= {"two pools", "as published"}
    known = [pair for pairs in found.fronts.values() for pair in pairs]
    for one in found.points:
        own = 1 / one.tpot_s, one.requests_per_s * 2 / 2  # 2 tokens on 2 GPUs
        assert any(pair == pytest.approx(own) for pair in known)


def test_commands_state_only_what_differs_from_the_defaults() -> None:
    for one in front(QWEN).points:
        words = " ".join(one.commands.values()).split()
        assert "--max-model-len" not in words
        sizes = [int(words[at + 1]) for at, word in enumerate(words) if word == "--data-parallel-size"]
        assert sizes == ([] if one.mesh.dp == 1 else [one.mesh.dp])  # replicas of experts are processes of their own


@pytest.mark.parametrize(("tp", "dp", "is_named"), [(2, 8, True), (1, 16, True), (1, 8, False), (16, 1, False)])
def test_experts_on_several_nodes_name_how_they_exchange_tokens(tp: int, dp: int, is_named: bool) -> None:
    model = llmcalc.load("deepseek-v3")
    service = Service(model, H100, tp * dp, read_requests(1009, 499), "vllm")
    replica = replica_on(service, Mesh(tp=tp, dp=dp, ep=dp * tp if dp > 1 else 1, etp=1 if dp > 1 else None), NONE)
    assert replica.exchanges is (dp > 1)
    assert ("--all2all-backend" in (replica.command(1508, 7) or "")) is is_named


def test_a_model_that_does_not_fit_lacks_the_memory_of_its_start() -> None:
    reason = llmcalc.serve("llama3.1-405b", "h100", max_model_len=150).reason
    for question in ({"pareto": True}, {"sla": "tpot=50ms"}):
        found = llmcalc.serve("llama3.1-405b", "h100", isl=100, osl=50, **question)
        title = (front_document if "pareto" in question else search_document)(found).title
        assert title == f"✗ The model does not fit on 1 × NVIDIA H100 SXM5 80GB: {reason}"

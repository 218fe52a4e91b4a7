"""The default layout of requests: more GPUs are not slower, and the answer names the layout that was chosen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.report.serving import serving_document
from llmcalc.search.default_layout import EQUAL
from llmcalc.search.space import DISTINCT_GAIN
from llmcalc.serving.result import ServingResult

MODELS = ("llama3.1-8b", "llama3.3-70b", "llama3.1-405b", "llama3.2-1b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-120b")
CARDS = ("h100", "h200", "l40s", "a100-pcie-80gb", "rtx4090", "mi300x", "b200-180gb")


def serve(model: str, gpu: str, **own: Any) -> ServingResult:
    result = llmcalc.serve(model, gpu, **own)
    assert isinstance(result, ServingResult)
    return result


@settings(max_examples=15, deadline=None)
@given(
    model=st.sampled_from(MODELS), card=st.sampled_from(CARDS), count=st.sampled_from((1, 2, 3, 4, 5, 6, 8, 12, 16)),
    concurrency=st.sampled_from((1, 3, 16, 64, 500)), lengths=st.sampled_from(((1000, 500), (8000, 200), (100, 1))),
    weights=st.sampled_from((None, "fp8")),
)  # fmt: skip
@example("llama3.3-70b", "l40s", 4, 64, (1024, 200), "fp8")
@example("llama3.1-405b", "h100", 8, 16, (1024, 500), "fp8")
@example("llama3.1-8b", "l40s", 4, 1, (100, 1), None)  # slower within the error of the estimates
@example("deepseek-v3", "b200-180gb", 8, 4, (1000, 500), "fp8")  # replicas of a mixture of experts
@example("gemma3-27b", "h100", 12, 64, (100, 1), None)
def test_twice_the_gpus_are_not_slower(
    model: str, card: str, count: int, concurrency: int, lengths: tuple[int, int], weights: str | None
) -> None:
    own = {"isl": lengths[0], "osl": lengths[1], "concurrency": concurrency, "weights": weights}
    few, many = (serve(model, f"{card}:{n}", **own) for n in (count, 2 * count))
    assert many.fits >= few.fits
    if few.fits:
        assert many.time.requests_per_s * EQUAL >= few.time.requests_per_s


@pytest.mark.parametrize(("model", "gpu", "given", "chosen"), [
    ("llama3.3-70b", "l40s:8", {"concurrency": 64, "weights": "fp8"}, {"tp": 2, "dp": 4}),
    ("llama3.1-405b", "h100:16", {"concurrency": 16, "weights": "fp8"}, {"tp": 8, "dp": 2}),
])  # fmt: skip
def test_a_chosen_layout_has_the_times_of_the_same_layout_as_options(
    model: str, gpu: str, given: dict[str, Any], chosen: dict[str, int]
) -> None:
    own = {"isl": 1024, "osl": 200, **given}
    result, same = serve(model, gpu, **own), serve(model, gpu, **own, **chosen)
    assert (result.mesh, result.time.requests_per_s) == (same.mesh, same.time.requests_per_s)
    document = serving_document(result)
    assert document.subtitle[0].endswith(f"as tp {chosen['tp']} · dp {chosen['dp']} (chosen layout)")
    assert "chosen layout" not in serving_document(same).subtitle[0]


def test_replicas_share_the_requests() -> None:
    """Each replica of a mixture of experts has its own engine, and times of its share of the requests."""
    own: dict[str, Any] = {"isl": 1000, "osl": 500, "weights": "fp8"}
    both = serve("deepseek-v3", "b200-180gb:16", concurrency=8, **own)
    assert both.point.replicas == 2
    one = serve("deepseek-v3", f"b200-180gb:{both.mesh.ranks}", concurrency=4, tp=both.mesh.tp, **own)
    assert both.mesh == one.mesh
    assert both.tpot_s == one.tpot_s
    assert both.time.requests_per_s == 2 * one.time.requests_per_s
    assert both.tokens_per_s_gpu == one.tokens_per_s_gpu
    assert (both.running, one.running) == (8, 4)
    assert both.usd_per_million == one.usd_per_million
    assert both.to_dict()["replicas"] == 2


def test_gpus_that_do_not_help_are_left_unused() -> None:
    result = serve("llama3.3-70b", "h100:6", isl=1000, osl=500, concurrency=8)
    assert (result.mesh.tp, result.point.used) == (4, 4)
    assert serving_document(result).warnings[-1] == "the layout leaves 2 of 6 GPUs unused"


def test_tensor_parallelism_on_a_node_stays_the_default_within_the_error_of_the_estimates() -> None:
    own: dict[str, Any] = {"isl": 1000, "osl": 500, "concurrency": 128}
    result = serve("llama3.3-70b", "h100:8", **own)
    assert (result.mesh.tp, result.has_chosen_layout) == (8, False)
    other = serve("llama3.3-70b", "h100:8", tp=4, dp=2, **own)
    assert result.tokens_per_s_gpu < other.tokens_per_s_gpu < DISTINCT_GAIN * result.tokens_per_s_gpu


@settings(max_examples=15, deadline=None)
@given(
    model=st.sampled_from(MODELS), gpu=st.sampled_from(("h100:2", "h100:4", "h200:8", "a100-sxm-40gb:4", "l40s:8")),
    isl=st.sampled_from((2000, 8000)), scale=st.sampled_from((0.5, 1.0, 1.2)),
)  # fmt: skip
@example("llama3.3-70b", "h100:4", 8000, 1.0)  # one more than run on tensor-parallel ranks
@example("kimi-k2", "h200:8", 8000, 1.0)
def test_one_request_more_is_not_slower(model: str, gpu: str, isl: int, scale: float) -> None:
    tensor = serve(model, gpu, tp=int(gpu.partition(":")[2]), isl=isl, osl=500, concurrency=4096)
    assume(tensor.fits)
    number = max(int(scale * tensor.running), 1)
    few, more = (serve(model, gpu, isl=isl, osl=500, concurrency=n) for n in (number, number + 1))
    is_same = (few.mesh, few.point.replicas) == (more.mesh, more.point.replicas)  # kernels may begin a tile of rows
    assert more.time.requests_per_s >= (0.9 if is_same else 0.98) * few.time.requests_per_s


def test_a_layout_on_which_fewer_requests_run_is_offered_with_its_speed() -> None:
    own: dict[str, Any] = {"isl": 8092, "osl": 100, "concurrency": 8}
    result = serve("kimi-k2", "h200:8", **own)
    document = serving_document(result)
    assert (result.mesh.tp, result.mesh.pp, result.running) == (4, 2, 8)
    assert any("usual tp 8, which runs 2 of 8 requests at once" in note for note in document.notes)
    assert document.next is not None
    ((option, requests, *_),) = document.next.rows
    assert (option, requests) == ("tp=8", "2 of 8")
    assert serve("kimi-k2", "h200:8", **own, tp=8).running == 2


def test_a_layout_on_which_all_requests_run_is_offered_where_some_wait() -> None:
    result = serve("llama3.3-70b", "h100:4", isl=8000, osl=500, concurrency=55)
    document = serving_document(result)
    assert (result.mesh.tp, result.running) == (4, 54)
    assert document.title == "✓ 155 tokens/s per GPU: only 54 of 55 requests run at once; the others wait"
    assert document.next is not None
    assert ("tp=2 pp=2", "55 of 55") in [row[:2] for row in document.next.rows]


def test_given_ranks_of_experts_are_kept() -> None:
    own: dict[str, Any] = {"isl": 1000, "osl": 500, "concurrency": 64}
    assert serve("deepseek-v3", "h200:8", ep=8, **own).mesh.tp == 8


def test_gpus_that_do_not_divide_a_model_too_large_for_them_have_an_answer() -> None:
    result = serve("llama3.1-405b", "h100:3", isl=1000, osl=500)
    assert result.summary.startswith("Will not start: weights and activations exceed")


def test_an_engine_without_data_parallel_ranks_has_a_layout_that_divides_the_model() -> None:
    result = serve("llama3.3-70b", "h100:3", engine="my-engine", isl=1000, osl=500, concurrency=7)
    assert (result.mesh.tp, result.mesh.dp, result.point.used) == (2, 1, 2)

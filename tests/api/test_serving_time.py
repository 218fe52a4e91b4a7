"""The time of requests that a serving engine answers at once."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.api.accelerators import read_gpus
from llmcalc.api.serving_time import ServingResult
from llmcalc.api.step_models import step_model
from llmcalc.calc.sharding import Mesh
from llmcalc.core.errors import InputError
from llmcalc.estimate.time.interval import time_interval
from llmcalc.estimate.time.serving import Load, cache_bytes, cache_space, serving_time, weight_bytes

LLAMA = llmcalc.load("llama3.1-8b")
DEEPSEEK = llmcalc.load("deepseek-v3")
STANDARD: dict[str, Any] = {"isl": 1009, "osl": 499, "concurrency": 17}


def serve(model: Any = LLAMA, gpu: str = "h100", **change: Any) -> ServingResult:
    result = llmcalc.serve(model, gpu, **{**STANDARD, **change})
    assert isinstance(result, ServingResult)
    return result


def test_published_measurement_of_vllm() -> None:
    """Llama 3.1 70B in FP8 on H200, vLLM, as measured in public serving benchmarks: about 12 ms per token."""
    result = serve(
        llmcalc.load("llama3.1-70b"), "h200:4", isl=1024, osl=1024, concurrency=8, weights="fp8", cache="fp8"
    )
    assert result.tpot_s == pytest.approx(11.5e-3, rel=0.25)


def test_more_requests_are_slower_for_each_and_faster_for_all() -> None:
    few, many = serve(concurrency=3), serve(concurrency=67)
    assert few.tpot_s < many.tpot_s
    assert few.tokens_per_s_gpu < many.tokens_per_s_gpu
    assert few.ttft_s is not None
    assert many.ttft_s is not None
    assert few.ttft_s < many.ttft_s


@pytest.mark.parametrize(("longer", "value"), [("isl", 8009), ("concurrency", 97)])
def test_larger_loads_take_longer(longer: str, value: int) -> None:
    assert serve(**{longer: value}).tpot_s > serve().tpot_s


def test_a_long_answer_spreads_the_prefill() -> None:
    assert serve(osl=29).time.prefill_share > serve(osl=2003).time.prefill_share


def test_tensor_parallel_ranks_and_narrow_formats_are_faster() -> None:
    assert serve(gpu="h100:2").tpot_s < serve().tpot_s
    assert serve(weights="fp8").tpot_s < serve().tpot_s
    assert serve(gpu="h200").tpot_s < serve().tpot_s


def test_attention_data_parallel_ranks_share_the_requests_and_experts() -> None:
    result = serve(DEEPSEEK, "h200:8", tp=1, dp=8, ep=8, weights="fp8-block", concurrency=64)
    assert result.time.batch == 8
    tensor = serve(DEEPSEEK, "h200:8", tp=8, weights="fp8-block", concurrency=64)
    assert tensor.time.batch == 64
    assert 0.3 < result.tpot_s / tensor.tpot_s < 3


def test_a_full_cache_limits_the_batch_and_has_no_time_to_the_first_token() -> None:
    result = serve(isl=100_003, concurrency=61)
    assert result.time.batch == result.time.capacity < 61
    assert result.ttft_s is None
    assert any("requests wait" in note for note in result.notes)
    assert result.fits
    assert not result.all_run
    assert result.running == int(result.time.capacity)
    assert result.summary == f"Only {result.running} of 61 requests run at once; the others wait"


def test_a_full_cache_has_settings_with_which_more_requests_run() -> None:
    result = serve(isl=100_003, concurrency=11)
    changes = {next(iter(change)): (change, one) for change, one in result.changes}
    assert {"concurrency", "cache", "gpu"} <= set(changes)
    assert changes["concurrency"][0] == {"concurrency": result.running}
    assert all(one.all_run or one.running > result.running for _, one in changes.values())
    assert changes["gpu"][1].all_run
    given = serve(isl=100_003, concurrency=11, tp=1).changes
    assert {"gpu": "h100-sxm:2", "tp": 2}.items() <= dict(given[-1][0]).items() or given[-1][0]["tp"] > 2
    assert serve().changes == ()


def test_a_model_that_does_not_fit_has_settings_with_which_it_does() -> None:
    result = serve(llmcalc.load("llama3.1-70b"), concurrency=1)
    assert [change for change, _ in result.changes] == [{"weights": "fp8"}, {"gpu": "h100-sxm:2"}]
    assert all(one.fits for _, one in result.changes)


def test_a_request_longer_than_the_model_allows_is_said() -> None:
    result = serve(gpu="h100:8", isl=131_000, osl=73)
    assert not result.fits
    assert result.summary == "A request of 131,073 tokens exceeds the model's 131,072"
    assert result.changes == ()
    assert serve(gpu="h100:8", isl=131_000, osl=72, concurrency=1).all_run


def test_a_single_request_takes_the_decode_steps_alone() -> None:
    """No prefill of another request delays it, so that its time is that of a decode step, whatever its lengths are."""
    result = serve(isl=29_989, osl=101, concurrency=1)
    assert result.tpot_s == pytest.approx(float(result.time.step.seconds))
    assert result.time.prefill_share == 0
    assert result.ttft_s == pytest.approx(float(result.time.prefill_s))
    decode = llmcalc.latency(LLAMA, "h100", context=29_989 + 50)
    assert result.tpot_s == pytest.approx(decode.seconds, rel=0.01)
    period = result.time.prefill_s + 100 * result.tpot_s
    assert result.time.requests_per_s == pytest.approx(1 / period)


def test_a_request_is_delayed_once_by_the_prefill_of_each_other_request() -> None:
    few, many = (serve(isl=1009, osl=499, concurrency=number) for number in (2, 3))
    added = [(float(one.time.tpot_s) - float(one.time.step.seconds)) * 498 for one in (few, many)]
    assert added[1] == pytest.approx(2 * added[0], rel=0.02)


def test_a_step_adds_no_more_prefill_than_its_limit() -> None:
    short, shorter = (serve(isl=8192, osl=osl, concurrency=64, gpu="h100:8") for osl in (3, 2))
    assert short.tpot_s == pytest.approx(shorter.tpot_s, rel=1e-3)
    assert short.time.requests_per_s < shorter.time.requests_per_s


def test_a_single_output_token_has_no_time_per_token() -> None:
    result = serve(osl=1)
    assert result.tpot_s is result.tpot_low_s is result.tpot_high_s is result.tokens_per_s_user is None
    assert result.ttft_s is not None
    assert "requests/s" in result.summary
    assert result.to_dict()["tpot_s"] is None
    assert result.usd_per_million is not None


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_the_cache_is_that_of_the_engine(engine: str) -> None:
    result = serve(engine=engine, isl=1_000, osl=600, concurrency=4)
    memory = llmcalc.serve(LLAMA, "h100", engine=engine)
    assert result.time.capacity * 1_600 == pytest.approx(memory.tokens.best, rel=0.01)
    usual = cache_space(step_model(LLAMA, result.accelerator, Mesh(), engine))
    assert usual == pytest.approx(memory.memory.available.best, rel=0.15)


def test_a_request_that_does_not_fit_is_said() -> None:
    result = serve(gpu="rtx4090", isl=100_003)
    assert not result.fits
    assert result.summary == "A request of 100,502 tokens does not fit in the KV cache"


def test_weights_that_do_not_fit_are_said() -> None:
    result = serve(llmcalc.load("llama3.1-70b"))
    assert not result.fits
    assert result.summary.startswith("Will not start")
    assert result.ttft_s is None


def test_bytes_of_cache_and_weights() -> None:
    card = read_gpus("h100").accelerator
    assert card is not None
    model = step_model(LLAMA, card, Mesh(), "vllm", weights="fp8")
    assert cache_bytes(model, 1000.0) == pytest.approx(1000 * 131_072)
    assert weight_bytes(model) == pytest.approx(8.0e9, rel=0.1)


def test_arrays_give_the_times_of_single_loads() -> None:
    card = read_gpus("h100:2").accelerator
    assert card is not None
    model = step_model(LLAMA, card, Mesh(tp=2), "vllm")
    loads = [(101.0, 53.0, 2.0), (4001.0, 211.0, 31.0), (20011.0, 997.0, 300.0)]
    together = serving_time(model, Load(*(np.array(column) for column in zip(*loads, strict=True))))
    alone = [serving_time(model, Load(*load)) for load in loads]
    for name in ("tpot_s", "ttft_s", "batch", "requests_per_s"):
        np.testing.assert_allclose(getattr(together, name), [getattr(each, name) for each in alone])


def test_intervals_contain_the_estimate_and_are_wider_without_measurements() -> None:
    own, sibling, generic = serve(), serve(gpu="h200"), serve(gpu="mi300x")
    for result in (own, sibling, generic):
        assert result.tpot_low_s < result.tpot_s < result.tpot_high_s
    assert not own.tpot.reasons
    assert own.tpot.high / own.tpot.low == pytest.approx(sibling.tpot.high / sibling.tpot.low)
    assert generic.tpot_high_s / generic.tpot_low_s > 1.2 * own.tpot_high_s / own.tpot_low_s
    assert "not measured" in generic.tpot.reasons[0]
    unknown = serve(engine="my-engine")
    assert unknown.tpot.reasons == ("no measurements of my-engine",)


def test_an_interval_adds_two_variances() -> None:
    found = time_interval(1.0, {"between": 0.3, "inside": 0.4})
    assert log(found.high) == pytest.approx(1.2816 * 0.5)
    assert found.low * found.high == pytest.approx(1)


def test_money_follows_the_price_and_the_throughput() -> None:
    result = serve(price=2.5)
    low, high = result.usd_per_million_output or (0, 0)
    middle = 2.5 / 3600 / result.tokens_per_s_gpu * 1e6
    assert low == pytest.approx(middle * result.tpot_low_s / result.tpot_s)
    assert high == pytest.approx(middle * result.tpot_high_s / result.tpot_s)
    assert result.usd_per_million == pytest.approx((low * 499 / 1508, high * 499 / 1508))
    quoted = serve().price
    assert quoted is not None
    assert quoted.low < quoted.high


def test_requests_obey_little_s_law() -> None:
    result = serve(concurrency=23)
    assert result.tpot_s is not None
    seconds = result.time.prefill_s + (result.load.osl - 1) * result.tpot_s
    assert result.time.requests_per_s * seconds == pytest.approx(23)


def test_the_result_is_plain_data() -> None:
    result = serve()
    found = result.to_dict()
    seconds = [part["seconds"] for part in found["parts"]]
    assert sum(seconds) == pytest.approx(result.tpot_s)
    assert seconds == sorted(seconds, reverse=True)
    assert found["requests_per_rank"] == 17
    assert found["max_num_batched_tokens"] == 8192
    assert found["tpot_s"] > 0
    assert found["kernels"]["gemm bf16"] == "own h100-sxm"
    assert found["evidence"]["tpot_s"] == "fitted"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"isl": 0}, "isl"),
        ({"osl": None}, "osl"),
        ({"isl": None, "osl": None}, "isl=1000 osl=500"),
        ({"image": ["10x10"]}, "image: is not modelled together"),
        ({"command": "vllm serve Qwen/Qwen3-8B"}, "as options instead"),
        ({"gpu": "24GB"}, "name of a GPU"),
        ({"tp": 4}, "needs 4 GPUs"),
        ({"ep": 3}, "ep"),
        ({"max_model_len": 1000}, "max_model_len"),
        ({"gpu_memory": "24GB"}, "gpu_memory"),
        ({"model": None}, "missing model"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    given = {"model": LLAMA, "gpu": "h100", **STANDARD, **change}
    with pytest.raises(InputError, match=message):
        llmcalc.serve(given.pop("model"), given.pop("gpu"), **given)

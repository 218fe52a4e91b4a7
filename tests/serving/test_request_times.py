"""The time of requests that a serving engine answers at once."""

from __future__ import annotations

from itertools import pairwise
from math import log
from pathlib import Path
from re import findall
from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.arrays import Vector
from llmcalc.core.errors import InputError
from llmcalc.data import table
from llmcalc.inputs.gpus import read_gpus
from llmcalc.kernels.interval import time_interval
from llmcalc.report.points import settings_text
from llmcalc.report.serving import serving_document
from llmcalc.search.space import DISTINCT_GAIN
from llmcalc.serving import requests as request_lengths
from llmcalc.serving.request_times import Load, cache_space, plain_pool, serving_time, weight_bytes
from llmcalc.serving.result import ServingResult, class_times
from llmcalc.serving.speculation import find_drafting
from llmcalc.serving.step.step import step_values
from llmcalc.serving.step.step_models import engine_step, step_model

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
    short, long = (serve(osl=osl) for osl in (29, 2003))
    shares = [1 - one.time.step.seconds / one.tpot_s for one in (short, long)]
    assert shares[0] > shares[1]


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


def test_recurrent_states_limit_the_batch() -> None:
    recurrent, hybrid = (
        step_model(llmcalc.load(name), read_gpus("h100").accelerator, Mesh(), "sglang")
        for name in ("mamba2-2.7b", "zamba2-7b")
    )
    state = llmcalc.state("mamba2-2.7b").bytes
    states, both = plain_pool(recurrent, 0.0), plain_pool(hybrid, 0.0)
    assert states.bytes_of(1009) == states.bytes_of(1) == pytest.approx(state, rel=0.01)
    assert both.bytes_of(1009) > both.bytes_of(1) > 0
    divided = step_model(hybrid.architecture, read_gpus("h100").accelerator, Mesh(tp=2), "sglang")
    memory = llmcalc.memory("zamba2-7b", seq=1009, mesh=Mesh(tp=2))
    own = plain_pool(divided, 0.0).bytes_of(1009)
    assert memory.state > own > 0.99 * memory.state  # engines divide convolution states like recurrent ones
    result = serve("mamba2-2.7b", concurrency=1009)
    assert result.running == int(result.time.capacity) < 1009


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


def test_ranks_with_own_requests_run_more_of_them() -> None:
    """Tensor-parallel ranks repeat the latent cache of DeepSeek-V3."""
    result = serve(DEEPSEEK, "h100:16", tp=16, isl=32_003, osl=503, concurrency=61)
    divided = next(one for change, one in result.changes if change == {"tp": 1, "dp": 16, "ep": 16})
    assert divided.running > 1.5 * result.running
    absent = serve(DEEPSEEK, "h100:8", isl=32_003, osl=503, concurrency=61)
    assert [(dict(change), one.all_run) for change, one in absent.changes] == [({"gpu": "h100-sxm:16"}, True)]
    assert absent.changes[0][1].mesh.dp > 1
    assert not any("ep" in change for change, _ in serve(isl=100_003, concurrency=11).changes)


def test_what_to_try_next_says_how_many_requests_run() -> None:
    for concurrency in (61, 9973):
        result = serve(DEEPSEEK, "h100:8", isl=32_003, osl=503, concurrency=concurrency)
        table = serving_document(result).next
        assert table is not None
        running = [f"{one.running:,} of {concurrency:,}" for _, one in result.changes]
        assert running[:1] == [row[1] for row in table.rows][:1]
        assert {row[1] for row in table.rows} <= {*running}


@pytest.mark.parametrize(("model", "gpu", "change", "layout"), [
    ("deepseek-v3", "h200:8", {"concurrency": 30_011}, {"tp": 1, "dp": 128, "ep": 128}),
    ("deepseek-v3", "h200:8", {"concurrency": 2003, "tp": 8}, {"tp": 1, "dp": 16, "ep": 16}),
    ("llama3.3-70b", "h100", {"concurrency": 307}, {"dp": 4}),
    ("llama3.1-8b", "h100:2", {"concurrency": 5003, "isl": 307}, {}),
])  # fmt: skip
def test_the_answer_names_a_layout_that_holds_all_requests(
    model: str, gpu: str, change: dict[str, Any], layout: dict[str, int]
) -> None:
    own = {"isl": 4001, "osl": 1009, **change}
    result = serve(llmcalc.load(model), gpu, **own)
    assert not result.all_run
    holding = result.holding_change
    assert holding is not None
    assert layout.items() <= holding.items()
    again = serve(llmcalc.load(model), **{"gpu": gpu, **own, **holding})
    assert again.all_run
    assert again.load.concurrency == change["concurrency"]
    document = serving_document(result)
    assert document.title.startswith("✓" if result.fits else "✗")
    assert document.title.endswith(result.summary[1:])
    assert document.next is not None
    text = next(
        row[0] for row in document.next.rows if row[1] == f"{change['concurrency']:,} of {change['concurrency']:,}"
    )
    assert all(str(value) in text for value in holding.values())


@pytest.mark.parametrize(("gpu", "model", "layout"), [
    ("h100:3", "llama3.3-70b", (1, 3, 1)), ("h100:3", "llama3.1-8b", (1, 1, 3)), ("h100:7", "llama3.3-70b", (4, 1, 1)),
    ("h100:4", "llama3.3-70b", (4, 1, 1)),
])  # fmt: skip
def test_gpus_that_do_not_divide_the_heads_have_other_layouts(
    gpu: str, model: str, layout: tuple[int, int, int]
) -> None:
    result = serve(llmcalc.load(model), gpu, concurrency=64)
    assert (result.mesh.tp, result.mesh.pp, result.mesh.dp) == layout
    assert any("do not divide the model" in note for note in result.notes) is (gpu != "h100:4")
    with pytest.raises(InputError, match="tp"):
        serve(llmcalc.load("llama3.3-70b"), "h100:3", tp=3)


def test_a_faster_layout_of_experts_is_named() -> None:
    result = serve(DEEPSEEK, "h200:8", isl=4099, osl=1009, concurrency=127, tp=8)
    assert result.faster is not None
    change, one = result.faster
    assert change == {"tp": 1, "dp": 8, "ep": 8}
    assert one.tokens_per_s_gpu > 1.3 * result.tokens_per_s_gpu
    assert settings_text(change) in str(serving_document(result).next)
    assert one.faster is None
    assert serve(DEEPSEEK, "h200:8", concurrency=1).faster is None
    assert serve(gpu="h100:2").faster is None


def test_replicas_of_a_small_model_are_faster_if_the_engine_has_them() -> None:
    small = llmcalc.load("llama3.2-1b")
    one = serve(small, "h100:4", concurrency=211, tp=4)
    assert one.faster is not None
    assert one.faster.settings == {"tp": 1, "dp": 4}
    assert one.faster.result.tokens_per_s_gpu > 1.3 * one.tokens_per_s_gpu
    assert serve(small, "h100:4", concurrency=3, tp=4).faster is None  # fewer requests than replicas


@pytest.mark.parametrize(("concurrency", "layout"), [(1, (8, 1, 1)), (127, (1, 8, 8))])
def test_the_default_on_a_node_divides_experts_if_that_is_distinctly_faster(
    concurrency: float, layout: tuple[int, int, int]
) -> None:
    result = serve(DEEPSEEK, "h200:8", isl=4099, osl=1009, concurrency=concurrency)
    assert (result.mesh.tp, result.mesh.dp, result.mesh.ep) == layout
    assert any("most tokens per second is assumed" in note for note in result.notes) is (layout[0] == 1)
    assert result.faster is None
    tensor = serve(DEEPSEEK, "h200:8", isl=4099, osl=1009, concurrency=concurrency, tp=8)
    assert (result.tokens_per_s_gpu > DISTINCT_GAIN * tensor.tokens_per_s_gpu) is (layout[0] == 1)
    assert serve(gpu="h100:2", concurrency=concurrency).mesh.tp == 2  # without experts


def test_a_gain_within_the_error_of_the_estimates_is_said_to_be_one() -> None:
    """The default stays with tensor parallelism, and the other layout is named."""
    model = llmcalc.load("deepseek-v3")
    for concurrency in range(17, 67, 3):
        result = serve(model, "h200:8", isl=2003, osl=499, concurrency=concurrency)
        if result.faster:
            break
    assert result.mesh.tp == 8
    assert "within the error of the estimates" in serving_document(result).notes[0]


def test_no_layout_is_named_if_none_holds_all_requests() -> None:
    result = serve(gpu="rtx4090", isl=4001, concurrency=100_003)
    assert result.holding_change is None
    assert serving_document(result).title.endswith("the others wait")
    assert serve().holding_change is None


def test_an_assumed_number_of_requests_is_said() -> None:
    text = "one request at a time is assumed: {concurrency} sets the number"
    assert text in serve(concurrency=None).notes
    assert text not in serve(concurrency=1).notes


def test_a_request_longer_than_the_model_allows_is_said() -> None:
    result = serve(gpu="h100:8", isl=131_000, osl=73)
    assert not result.fits
    assert result.summary == (
        "Requests of 131,073 tokens exceed the 131,072 that the model accepts; VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 allows "
        "them. The longest: isl=130999"
    )
    assert result.changes == ()
    assert serve(gpu="h100:8", isl=131_000, osl=72, concurrency=1).all_run


def test_a_single_request_takes_the_decode_steps_alone() -> None:
    """No prefill of another request delays it, so that its time is that of a decode step, whatever its lengths are."""
    result = serve(isl=29_989, osl=101, concurrency=1)
    assert result.tpot_s == pytest.approx(float(result.time.step.seconds))
    assert result.tpot_s == result.time.step.seconds  # no prefill
    server = table("engine_steps")["engines"]["vllm"]["server_us"] * 1e-6
    assert result.ttft_s == pytest.approx(float(result.time.prefill_s) + server)
    decode = llmcalc.latency(LLAMA, "h100", context=29_989 + 50)
    assert result.tpot_s == pytest.approx(decode.seconds, rel=0.01)
    period = result.time.prefill_s + server + 100 * result.tpot_s
    assert result.time.requests_per_s == pytest.approx(1 / period)


def test_a_request_is_delayed_once_by_the_prefill_of_each_other_request() -> None:
    few, many = (serve(isl=1009, osl=499, concurrency=number) for number in (2, 3))
    added = [(float(one.time.tpot_s) - float(one.time.step.seconds)) * 498 for one in (few, many)]
    assert added[1] == pytest.approx(2 * added[0], rel=0.02)


def test_a_step_adds_no_more_prefill_than_its_limit() -> None:
    short, shorter = (serve(isl=8192, osl=osl, concurrency=64, gpu="h100:8") for osl in (3, 2))
    assert short.tpot_s == pytest.approx(shorter.tpot_s, rel=3e-3)  # two requests are decoded instead of one
    assert short.time.requests_per_s < shorter.time.requests_per_s


def test_a_single_output_token_has_no_time_per_token() -> None:
    result = serve(osl=1)
    assert result.tpot_s is result.tpot_low_s is result.tpot_high_s is result.tokens_per_s_user is None
    assert result.ttft_s is not None
    assert "requests/s" in result.summary
    assert result.to_dict()["tpot_s"] is None
    assert result.usd_per_million is not None


@pytest.mark.parametrize(("engine", "held"), [("vllm", 1300), ("sglang", 1329.4), ("tensorrt-llm", 1600)])
def test_the_cache_is_that_of_the_engine(engine: str, held: float) -> None:
    """A running request has 300 tokens of output on average, and reserves none, 9.8 % or all of the other 300."""
    result = serve(engine=engine, isl=1_000, osl=600, concurrency=4)
    memory = llmcalc.serve(LLAMA, "h100", engine=engine)
    assert result.held_tokens == pytest.approx(held)
    assert result.time.capacity * held == pytest.approx(memory.tokens.best, rel=0.01)
    usual = cache_space(step_model(LLAMA, result.accelerator, Mesh(), engine))
    assert usual == pytest.approx(memory.memory.available.best, rel=0.15)


def test_a_request_that_does_not_fit_is_said() -> None:
    result = serve(gpu="rtx4090", isl=100_003)
    assert not result.fits
    assert result.summary.startswith("Will not start: a request of 100,502 tokens needs 12.27 GiB of KV cache")


def test_weights_that_do_not_fit_are_said() -> None:
    result = serve(llmcalc.load("llama3.1-70b"))
    assert not result.fits
    assert result.summary.startswith("Will not start")
    assert result.ttft_s is None


def test_bytes_of_cache_and_weights() -> None:
    card = read_gpus("h100").accelerator
    assert card is not None
    model = step_model(LLAMA, card, Mesh(), "vllm", weights="fp8")
    assert plain_pool(model, 0.0).bytes_of(1000.0) == pytest.approx(1000 * 131_072)
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


@pytest.mark.parametrize("osl", [1, 2, 3, 11, 499])
def test_requests_obey_little_s_law(osl: int) -> None:
    time = serve(concurrency=23, osl=osl).time
    seconds = time.ttft_s + (osl - 1) * time.tpot_s
    assert time.requests_per_s * seconds == pytest.approx(23)


def test_the_prefills_of_the_others_delay_the_first_token_of_a_request_with_one_output_token() -> None:
    one, many = serve(concurrency=23, osl=1).time, serve(concurrency=23).time
    assert one.ttft_s == pytest.approx(23 / one.requests_per_s)
    assert one.ttft_s > 2 * many.ttft_s


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
        ({"image": ["10x10"]}, "image: has no effect, because the engine loads no image encoder"),
        ({"command": "vllm serve Qwen/Qwen3-8B"}, "model: cannot be combined with a command line"),
        ({"gpu": "24GB"}, "name of a GPU"),
        ({"tp": 4}, "needs 4 GPUs"),
        ({"ep": 3}, "ep"),
        ({"max_model_len": "1x"}, "max_model_len"),
        ({"enable_lora": True}, "enable_lora: is not modelled"),
        ({"chunked_prefill": False}, "chunked prefill cannot be off"),
        ({"gpu_memory": "24GB"}, "gpu_memory"),
        ({"model": None}, "missing model"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    given = {"model": LLAMA, "gpu": "h100", **STANDARD, **change}
    with pytest.raises(InputError, match=message):
        llmcalc.serve(given.pop("model"), given.pop("gpu"), **given)


# ------------------------------------------------------------------ settings of engines


@pytest.mark.parametrize(("gpu", "tokens"), [("h100", 8192), ("a100-sxm-80gb", 2048), ("b200-180gb", 16384)])
def test_the_default_chunk_is_that_of_the_engine_on_the_gpu(gpu: str, tokens: int) -> None:
    assert serve(gpu=gpu).load.chunk == tokens
    assert serve(gpu=gpu, max_num_batched_tokens=1013).load.chunk == 1013


def test_sequences_of_the_engine_limit_the_running_requests() -> None:
    result = serve(concurrency=61, max_num_seqs=13)
    assert result.running == 13
    assert result.limit == "largest number of sequences of the engine"
    assert result.ttft_s is None
    assert result.tpot_s == pytest.approx(serve(concurrency=13, max_num_seqs=13).tpot_s)
    changes = [change for change, _ in result.changes]
    assert {"concurrency": 13} in changes
    assert {"max_num_seqs": 61} in changes
    wide: dict[str, Any] = {"tp": 1, "dp": 8, "ep": 8, "weights": "fp8-block", "concurrency": 64}
    assert serve(DEEPSEEK, "h200:8", **wide, max_num_seqs=3).running == 24
    sglang = serve(DEEPSEEK, "h200:8", **wide, max_num_seqs=24, engine="sglang")
    assert sglang.running == 24


def test_a_length_of_the_engine_refuses_longer_requests_and_must_fit() -> None:
    assert serve(max_model_len=1507).summary.startswith("Requests of 1,508 tokens exceed the 1,507 of max_model_len")
    assert serve(max_model_len=1508).all_run
    long = serve(gpu="rtx4090", max_model_len=131_072)
    assert not long.fits
    assert long.summary.startswith("Will not start: a request of 131,072 tokens")
    assert serve(gpu="rtx4090", concurrency=2).all_run


def test_preempted_requests_compute_tokens_again_only_in_a_full_cache_without_reservations() -> None:
    """Requests of vLLM compute one output again, and less if prefixes are cached."""
    own: dict[str, Any] = {"isl": 211, "osl": 1009, "kv_cache_memory": "4GiB"}
    most = serve(concurrency=1, **own).time.capacity
    few, near, full = (serve(concurrency=share * most, **own) for share in (0.7, 1.0, 1.5))
    assert few.time.recomputed < 1
    assert 300 < near.time.recomputed < 600
    assert full.time.recomputed == pytest.approx(1009 * 1009 / (211 + 1009), rel=0.01)
    again = f"compute {float(full.time.recomputed):,.0f} tokens again"
    assert any(again in note for note in full.notes)
    assert not any("again" in note for note in few.notes)
    assert serve(concurrency=1.5 * most, prefix_caching=False, **own).time.recomputed == pytest.approx(1009, rel=0.01)
    assert full.time.requests_per_s < serve(concurrency=most, **own).time.requests_per_s
    for engine in ("sglang", "tensorrt-llm"):
        assert serve(engine=engine, concurrency=5003).time.recomputed == 0
    assert serve("mamba2-2.7b", concurrency=1009).time.recomputed == 0  # states do not grow


def test_the_share_of_the_memory_changes_the_capacity() -> None:
    small, usual = serve(gpu_memory_utilization=0.5), serve()
    assert small.time.capacity < 0.6 * usual.time.capacity
    assert serve(kv_cache_memory="1GiB").time.capacity == 2**30 / (79 * 16 * 131_072)  # blocks of 1,258.5 tokens


def test_a_command_line_has_the_times_of_its_settings() -> None:
    line = "vllm serve meta-llama/Llama-3.1-8B-Instruct -tp 2 --max-num-seqs 7 --kv-cache-dtype fp8 --port 80"
    pasted = llmcalc.serve(gpu="h100:2", command=line, **STANDARD)
    given = serve(gpu="h100:2", tp=2, max_num_seqs=7, cache="fp8")
    assert isinstance(pasted, ServingResult)
    assert (pasted.tpot_s, pasted.running) == (pytest.approx(given.tpot_s), 7)
    experts = "vllm serve deepseek-ai/DeepSeek-V3 -dp 8 --enable-expert-parallel"
    sglang = "python -m sglang.launch_server --model deepseek-ai/DeepSeek-V3 --tp 8 --dp 8 --enable-dp-attention --ep 8"
    for command in (experts, sglang):
        found = llmcalc.serve(gpu="h200:8", command=command, **STANDARD)
        assert (found.mesh.tp, found.mesh.dp, found.mesh.ep) == (1, 8, 8)
    staged = llmcalc.serve(gpu="h100:2", command="vllm serve Qwen/Qwen3-8B -pp 2", **STANDARD)
    assert isinstance(staged, ServingResult)
    assert (staged.mesh.tp, staged.mesh.pp) == (1, 2)
    with pytest.raises(InputError, match="tp: cannot be combined with a command line"):
        llmcalc.serve(gpu="h100:2", command=line, tp=2, **STANDARD)


def test_the_memory_of_an_engine_without_a_rule_is_assumed() -> None:
    result = serve(engine="my-engine")
    assert any("90% of the memory" in note for note in result.notes)
    assert result.load.chunk == 8192


# ------------------------------------------------------------------ cached prefixes


def test_a_cached_prefix_is_not_prefilled_but_read_and_stored_once() -> None:
    none, half = serve(isl=8009, concurrency=13), serve(isl=8009, concurrency=13, prefix_share=0.5)
    assert half.time.step.seconds == pytest.approx(float(none.time.step.seconds))  # all keys are read
    assert half.tpot_s < none.tpot_s
    assert half.ttft_s is not None
    assert none.ttft_s is not None
    assert half.ttft_s < 0.7 * none.ttft_s
    assert half.time.requests_per_s > none.time.requests_per_s
    free, each, held = none.time.capacity * none.held_tokens, 8009 / 2, none.held_tokens
    assert half.time.capacity == pytest.approx((free - each) / (held - each), rel=16 / each)  # of whole blocks
    assert half.time.shared_bytes == each // 16 * 16 * 131_072


def test_a_prefix_needs_a_cache_of_prefixes() -> None:
    for own in ({"prefix_caching": False}, {"engine": "sglang", "disable_radix_cache": True}):
        with pytest.raises(InputError, match="caches no prefixes"):
            serve(prefix_share=0.3, **own)
    with pytest.raises(InputError, match="less than 1"):
        serve(prefix_share=1.0)
    assert serve(engine="sglang", prefix_caching=False).service.given["disable_radix_cache"] is True


# ------------------------------------------------------------------ lengths of requests


def test_a_mix_of_equal_requests_is_one_class() -> None:
    mixed = serve(isl=None, osl=None, mix="1009/499:0.3,1009/499:0.7")
    one = serve()
    for name in ("tpot_s", "ttft_s", "tokens_per_s_gpu"):
        assert getattr(mixed, name) == pytest.approx(getattr(one, name))
    assert mixed.time.capacity == pytest.approx(one.time.capacity)


@pytest.mark.parametrize(("model", "gpu", "change"), [
    ("llama3.1-8b", "h100", {"mix": "4001/503:0.7,503/211:0.3"}),
    ("gemma2-2b", "h100:2", {"mix": "14009/503:0.7,503/211:0.3", "prefix_share": 0.3}),
    ("deepseek-v3", "h200:8", {"isl": 1009, "osl": 307, "turns": 5}),
    ("qwen3-next", "h100:4", {"mix": "4001/503,503/211,97/13"}),
])  # fmt: skip
def test_a_mix_needs_no_numpy(model: str, gpu: str, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = llmcalc.serve(model, gpu, concurrency=23, **change).to_dict()
    monkeypatch.setattr(request_lengths, "vector", Vector)
    assert llmcalc.serve(model, gpu, concurrency=23, **change).to_dict() == near(expected)


def near(value: Any) -> Any:
    """Return nested values that numbers within rounding errors are equal to."""
    if isinstance(value, dict):
        return {name: near(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(near(own) for own in value)
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value


def test_a_mix_keeps_little_s_law_and_lies_between_its_classes() -> None:
    mixed = serve(isl=None, osl=None, mix="4001/503:0.7,503/211:0.3", concurrency=23)
    long, short = serve(isl=4001, osl=503, concurrency=23), serve(isl=503, osl=211, concurrency=23)
    assert short.tpot_s < mixed.tpot_s < long.tpot_s
    mean = 0.7 * 503 + 0.3 * 211
    seconds = float(mixed.time.ttft_s) + (mean - 1) * mixed.tpot_s
    assert mixed.time.requests_per_s * seconds == pytest.approx(23)
    (first, whole), (other, shorter) = class_times(mixed)
    assert first > other
    assert whole > shorter
    assert mixed.ttft_s == pytest.approx(0.7 * first + 0.3 * other)
    assert mixed.tokens_per_s_gpu == pytest.approx(mixed.time.requests_per_s * mean)


def test_weights_of_a_mix_are_relative() -> None:
    one, other = (serve(isl=None, osl=None, mix=text) for text in ("997/97:3,97/997:1", "997/97:0.75,97/997:0.25"))
    assert one.tpot_s == pytest.approx(other.tpot_s)
    assert serve(isl=None, osl=None, mix="997/97,97/997").requests.mean("isl") == 547


def test_turns_are_cached_or_prefilled_again() -> None:
    own: dict[str, Any] = {"isl": 1009, "osl": 211, "turns": 5, "concurrency": 7}
    cached, again = serve(**own), serve(**own, prefix_share=0)
    assert [each.cached for each in cached.requests.classes] == [0, 1220, 2440, 3660, 4880]
    assert cached.requests.mean("isl") == again.requests.mean("isl") == 2 * 1220 + 1009
    assert again.requests.mean("cached") == 0
    assert cached.ttft_s is not None
    assert again.ttft_s is not None
    assert cached.ttft_s < again.ttft_s
    assert cached.tpot_s < again.tpot_s
    assert serve(**own, prefix_caching=False).tpot_s == pytest.approx(again.tpot_s)
    assert cached.requests.longest == 5 * 1220


def test_a_trace_has_the_times_of_its_requests(tmp_path: Path) -> None:
    azure, mooncake = tmp_path / "azure.csv", tmp_path / "mooncake.jsonl"
    rows = [(1009, 499)] * 3 + [(4001, 211)] * 2 + [(12, 0)]
    azure.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(f"0,{isl},{osl}\n" for isl, osl in rows))
    mooncake.write_text("".join(f'{{"input_length": {isl}, "output_length": {osl}}}\n' for isl, osl in rows))
    mixed = serve(isl=None, osl=None, mix="1009/499:3,4001/211:2")
    for path in (azure, mooncake):
        result = serve(isl=None, osl=None, trace=path)
        assert result.tpot_s == pytest.approx(mixed.tpot_s)
        assert result.requests.n_rows == 5
        assert result.requests.quantiles["median"] == (1009, 499)
        assert any("1 requests of the trace without" in note for note in result.notes)


def test_quantiles_of_a_trace_are_lengths_of_its_requests(tmp_path: Path) -> None:
    inputs, outputs = (101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151), (*range(2, 12), 997)
    path = tmp_path / "trace.csv"
    path.write_text("isl,osl\n" + "".join(f"{isl},{osl}\n" for isl, osl in zip(inputs, outputs[::-1], strict=True)))
    found = serve(isl=None, osl=None, trace=path).requests.quantiles
    assert found == {"median": (127, 7), "p90": (149, 11), "largest": (151, 997)}  # the 6th, 10th and 11th


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("isl,osl\n3,x\n", "x.csv:2.*osl must be a number of tokens, not 'x'"),
        ("isl,osl\n3,-1\n", "osl must be a number"),
        ("isl,tokens\n3,2\n", "no column with output tokens in isl, tokens"),
        ("isl,osl\n0,0\n", "no request with input and output tokens"),
        ("isl,osl\n1\n", "1 values in 2 columns"),
        ("", "is empty"),
    ],
)
def test_a_wrong_trace_is_explained(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        serve(isl=None, osl=None, trace=str(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mix": "100/10"}, "isl: cannot be combined with mix"),
        ({"isl": None, "osl": None, "mix": "100"}, "invalid class of requests '100'"),
        ({"isl": None, "osl": None, "mix": "100/10:0"}, "invalid class"),
        ({"isl": None, "osl": None, "mix": "100/0:1"}, "at least 1"),
        ({"isl": None, "osl": None, "mix": "100/10", "trace": "x.csv"}, "trace: cannot be combined with mix"),
        ({"isl": None, "osl": None, "mix": "1/2," * 70 + "1/2"}, "more than 64 classes"),
        ({"isl": None, "osl": None, "mix": "100/10", "turns": 3}, "turns: cannot be combined with mix"),
        ({"turns": 3, "prefix_share": 0.5}, "cannot be combined with turns"),
        ({"turns": 1}, "turns"),
        ({"turns": 10_000}, "at most 256"),
    ],
)
def test_wrong_lengths_are_explained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        serve(**change)


# ------------------------------------------------------------------ speculative decoding


def test_accepted_tokens_divide_the_step() -> None:
    own: dict[str, Any] = {"draft_method": "eagle3", "draft_tokens": 3}
    two, four = (serve(**own, acceptance_length=length) for length in (2, 4))
    assert two.time.step.seconds == pytest.approx(float(four.time.step.seconds))
    decode = [float(each.time.step.seconds / each.time.accepted) for each in (two, four)]
    assert decode[0] == pytest.approx(2 * decode[1])
    assert four.speedup is not None
    assert four.speedup > two.speedup > 1
    assert four.plain.tpot_s == pytest.approx(serve().tpot_s)
    rate = serve(**own, acceptance_rate=1 / 3)
    assert rate.tpot_s == pytest.approx(two.tpot_s)
    seconds = [part[1] for part in two.parts]
    assert sum(seconds) == pytest.approx(two.tpot_s)
    assert "draft" in [part[0] for part in two.parts]


def test_accepted_tokens_also_divide_steps_that_are_full_of_prefills() -> None:
    """With prompts that are much longer than answers, each step computes a whole chunk of them."""
    own: dict[str, Any] = {"isl": 8009, "osl": 11, "concurrency": 61, "draft_method": "ngram", "draft_tokens": 4}
    steps = [length * serve(**own, acceptance_length=length).tpot_s for length in (1, 1.5, 3)]
    assert steps == pytest.approx(steps[:1] * 3, rel=0.05)


def test_the_break_even_length_gives_the_plain_time() -> None:
    own: dict[str, Any] = {"draft_method": "eagle3", "draft_tokens": 3, "concurrency": 61, "osl": 997}
    even = serve(**own, acceptance_length=2).break_even_length
    assert even is not None
    assert serve(**own, acceptance_length=even).speedup == pytest.approx(1, rel=1e-6)


def test_an_assumed_acceptance_is_named_and_widens_the_interval() -> None:
    assumed = serve(draft_method="eagle3", draft_tokens=3)
    given = serve(draft_method="eagle3", draft_tokens=3, acceptance_length=assumed.drafting.accepted)
    assert assumed.tpot_s == pytest.approx(given.tpot_s)
    assert "issue 20780" in assumed.drafting.source
    assert given.drafting.source == ""
    low, high = assumed.drafting.accepted_range
    assert low < assumed.drafting.accepted < high
    assert assumed.tpot_high_s / assumed.tpot_low_s > given.tpot_high_s / given.tpot_low_s
    assert assumed.evidence["tpot_s"] == "assumed"
    assert given.evidence["tpot_s"] == "fitted"
    assert assumed.to_dict()["speculation"]["acceptance_range"] == (low, high)


def test_a_verified_step_reads_weights_and_keys_once() -> None:
    card = read_gpus("h100").accelerator
    assert card is not None
    model = step_model(LLAMA, card, Mesh(), "vllm")
    one = model.step(step_values(7.0, 1.0, 10_007.0), scheduled=True)
    four = model.step(step_values(28.0, 1.0, 10_007.0), scheduled=True, verified=4)
    assert one.seconds < four.seconds < 1.2 * one.seconds
    assert four.engine == pytest.approx(one.engine)
    core = "attention core"
    assert four.components[core].flops == pytest.approx(4 * one.components[core].flops)
    assert four.components[core].moved == pytest.approx(one.components[core].moved, rel=0.02)


def test_methods_of_drafting() -> None:
    draft = serve(draft="llama3.2-1b", acceptance_length=3)
    assert draft.drafting.drafted == 5
    assert draft.drafting.title == "draft model llama3.2-1b"
    head, found = (
        serve(draft="a/b", draft_method="eagle", acceptance_length=3),
        serve(draft_method="ngram", acceptance_length=3),
    )
    assert draft.tpot_s > head.tpot_s > found.tpot_s
    assert found.drafting.title == "n-gram lookup"
    mtp = serve(DEEPSEEK, "h200:8", draft_method="mtp", acceptance_length=1.8, concurrency=1)
    assert mtp.drafting.speculation.verified == 2
    assert 1.3 < mtp.speedup < 1.8


def test_sglang_counts_verified_tokens_and_drafts_trees() -> None:
    usual = serve(DEEPSEEK, "h200:8", engine="sglang", draft_method="mtp")
    own = usual.drafting.speculation
    assert (own.passes, own.width, own.verified) == (3, 1, 4)
    assert usual.load.most == 48 / usual.mesh.dp
    llama = serve(engine="sglang", draft_method="eagle3", max_num_seqs=97)
    own = llama.drafting.speculation
    assert (own.passes, own.width, own.verified) == (5, 4, 8)
    assert llama.load.most == 97
    line = "python -m sglang.launch_server --model meta-llama/Llama-3.1-8B --speculative-algorithm EAGLE3"
    line += " --speculative-draft-model-path a/b --speculative-num-steps 2 --speculative-num-draft-tokens 3"
    own = llmcalc.serve(gpu="h100", command=line + " --speculative-eagle-topk 1", **STANDARD).drafting.speculation
    assert (own.passes, own.width, own.verified) == (2, 1, 3)


def test_a_speculative_config_of_vllm_is_read() -> None:
    text = '{"method": "eagle3", "model": "a/b", "num_speculative_tokens": 3}'
    line = ["vllm", "serve", "meta-llama/Llama-3.1-8B", "--speculative-config", text]
    result = llmcalc.serve(gpu="h100", command=line, **STANDARD, acceptance_length=2.5)
    assert result.drafting.drafted == 3
    assert result.tpot_s == pytest.approx(serve(draft_method="eagle3", draft_tokens=3, acceptance_length=2.5).tpot_s)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acceptance_length": 2.0}, "acceptance_length: needs speculative decoding"),
        ({"acceptance_rate": 0.5}, "acceptance_rate: needs speculative decoding"),
        ({"draft_method": "eagle3", "draft_tokens": 2, "acceptance_length": 3.5}, "at most 3, not 3.5"),
        ({"draft_method": "eagle3", "acceptance_length": 0.5}, "at least 1"),
        ({"draft_method": "eagle3", "acceptance_rate": 1.5}, "at most 1"),
        ({"draft_method": "eagle3", "acceptance_rate": 0.5, "acceptance_length": 2}, "cannot be combined"),
        ({"draft_method": "eagle3", "draft_tokens": 100}, "at most 64"),
        ({"draft_method": "eagle3", "draft_tokens": 1, "engine": "sglang"}, "at least 2"),
    ],
)
def test_wrong_speculation_is_explained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        serve(**change)


def test_a_class_decodes_for_as_long_as_it_has_output_tokens() -> None:
    mixed = serve(isl=None, osl=None, mix="20011/97:0.5,503/997:0.5", concurrency=1)
    long, short = serve(isl=20_011, osl=97, concurrency=1), serve(isl=503, osl=997, concurrency=1)
    assert mixed.tpot_s == pytest.approx((97 * long.tpot_s + 997 * short.tpot_s) / (97 + 997), rel=1e-4)
    assert mixed.ttft_s == pytest.approx((long.ttft_s + short.ttft_s) / 2, rel=0.03)


def test_new_tokens_see_the_cached_ones() -> None:
    cached, short = serve(isl=80_000, concurrency=1, prefix_share=0.9), serve(isl=8_000, concurrency=1)
    assert cached.time.prefill_s > 1.5 * short.time.prefill_s


@pytest.mark.parametrize(("method", "passes"), [("eagle3", 3), ("ngram", 0)])
def test_passes_of_a_draft_take_time_outside_the_kernels(method: str, passes: int) -> None:
    result = serve(draft_method=method, draft_tokens=3, acceptance_length=2)
    own = engine_step("vllm")
    added = float(result.time.step.engine - result.plain.step.engine)
    assert added == pytest.approx(own.draft_step_s + passes * own.draft_pass_s)


def test_stages_serve_as_replicas_that_share_the_memory() -> None:
    alone, two = serve(LLAMA, "h100", concurrency=32), serve(LLAMA, "h100:2", tp=1, pp=2, concurrency=64)
    wait = two.time.step.collectives["wait (pp)"]
    without = two.time.step.seconds - wait - two.time.step.collectives["send (pp)"]
    assert without == pytest.approx(alone.time.step.seconds)
    assert two.time.capacity > alone.time.capacity  # half of the weights
    assert two.running == 64
    assert two.tokens_per_s_gpu < alone.tokens_per_s_gpu
    assert "no measurements of pipeline stages" in two.reasons
    assert serve(LLAMA, "h100:2", tp=1, pp=2, concurrency=1).time.step.collectives["wait (pp)"] == 0
    with pytest.raises(InputError, match="cannot be combined with speculative decoding"):
        serve(LLAMA, "h100:2", tp=1, pp=2, draft_method="ngram")


@pytest.mark.parametrize("concurrency", [1, 61, 499])
def test_the_default_over_several_nodes_has_the_most_tokens_per_second(concurrency: int) -> None:
    found = serve(DEEPSEEK, "h100:16", concurrency=concurrency)
    assert found.mesh.ranks == 16
    assert any("most tokens per second is assumed" in note for note in found.notes)
    for sizes in ({"tp": 16}, {"tp": 8, "pp": 2}, {"tp": 8, "dp": 2, "ep": 16}, {"tp": 1, "dp": 16, "ep": 16}):
        other = serve(DEEPSEEK, "h100:16", concurrency=concurrency, **sizes)
        assert not any("assumed" in note for note in other.notes)
        if other.all_run:
            assert found.tokens_per_s_gpu >= 0.97 * other.tokens_per_s_gpu


def test_the_steps_of_a_draft_are_shared_by_all_gpus() -> None:
    cards = [read_gpus(name).accelerator for name in ("h100", "h200")]
    steps = [step_model(DEEPSEEK, card, Mesh(tp=8), "vllm") for card in cards if card]
    first, second = (find_drafting(each, {"draft_method": "mtp"}) for each in steps)
    assert first is not None
    assert second is not None
    assert first.speculation.draft is not second.speculation.draft
    assert first.speculation.draft.architecture is second.speculation.draft.architecture


def test_a_missing_length_and_an_invalid_version_are_refused() -> None:
    with pytest.raises(llmcalc.InputError, match="osl: missing number of tokens"):
        llmcalc.serving_front("bert", "h100", isl=101, osl=None)
    with pytest.raises(llmcalc.InputError, match="engine_version: must be a non-empty string"):
        llmcalc.serve("gpt2", "h100", engine_version=7, isl=101, osl=53, concurrency=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(("model", "gpu", "weights"), [
    ("llama3.1-8b", "a100-sxm-80gb", None),
    ("llama3.1-8b", "a100-sxm-80gb", "awq-int4-g128"),
    ("llama3.1-8b", "l40s", "fp8"),
    ("qwen3-0.6b", "l4", None),
])  # fmt: skip
def test_throughput_hardly_falls_with_more_requests_that_run(model: str, gpu: str, weights: str | None) -> None:
    """Prefills share steps, so that what a step costs beside its tokens does not grow with the requests.

    On Ampere and Ada, attention of a step with prefill reads keys more often if the cache holds fewer of them.
    """
    found = [
        result.tokens_per_s_gpu
        for number in (16, 32, 64, 128, 256)
        if (result := llmcalc.serve(model, gpu, isl=1009, osl=199, concurrency=number, weights=weights)).all_run
    ]
    assert len(found) > 3
    assert all(after > 0.92 * before for before, after in pairwise(found))


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_a_prompt_waits_for_each_other_request_once_at_most(engine: str) -> None:
    own: dict[str, Any] = {"isl": 32_003, "osl": 199, "engine": engine}
    alone = llmcalc.serve("llama3.1-8b", "h100", concurrency=1, **own)
    for number in (2, 3, 4):
        found = llmcalc.serve("llama3.1-8b", "h100", concurrency=number, **own)
        assert found.ttft_s < 1.05 * number * alone.ttft_s


def test_the_summary_states_the_times_and_rates_of_the_result() -> None:
    found = serve(isl=1009, osl=499, concurrency=7)
    *times, user, gpu = (float(number) for number in findall(r"[\d.]+", found.summary.replace(",", "")))
    assert found.tpot_s is not None
    assert times == pytest.approx(
        [1e3 * each for each in (found.tpot_s, found.tpot_low_s, found.tpot_high_s)], rel=5e-3
    )
    assert (user, gpu) == pytest.approx((1 / found.tpot_s, found.tokens_per_s_gpu), rel=5e-3)


def test_replicas_of_a_dense_model_have_the_times_of_one() -> None:
    one, two = serve(concurrency=17), serve(gpu="h100:2", tp=1, dp=2, concurrency=34)
    assert (two.tpot_s, two.ttft_s) == pytest.approx((one.tpot_s, one.ttft_s))
    assert two.time.requests_per_s == pytest.approx(2 * one.time.requests_per_s)


@pytest.mark.parametrize("concurrency", [2, 3, 8])
def test_requests_take_no_longer_together_than_one_after_another(concurrency: int) -> None:
    """A prompt that waited for the prefills of others is not delayed by them again while it decodes."""
    own: dict[str, Any] = {"gpu": "l40s:8", "tp": 8, "weights": "fp8", "isl": 65536, "osl": 100}
    one, some = (llmcalc.serve("llama3.1-8b", concurrency=number, **own).time for number in (1, concurrency))
    alone = some.prefill_s + (100 - 1) * some.step.seconds
    assert some.ttft_s + (100 - 1) * some.tpot_s < concurrency * alone + one.ttft_s
    assert some.requests_per_s > 0.96 * one.requests_per_s

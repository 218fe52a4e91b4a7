"""Time of a step: hand counts, invariants, and arrays of workloads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.inputs.gpus import accelerator
from llmcalc.kernels.operations import Convolution, Scan
from llmcalc.kernels.transfers import transfers
from llmcalc.schema.preset_files import names
from llmcalc.serving.step.step import StepModel
from llmcalc.serving.step.step_models import engine_step, step_model

MODELS = sorted({location.file: name for name, location in names().items()}.values())


def model(
    name: str, gpu: str = "h100-sxm", engine: str = "vllm", mesh: Mesh | None = None, **formats: Any
) -> StepModel:
    return step_model(llmcalc.load(name), accelerator(gpu), mesh or Mesh(), engine, **formats)


def values(batch: Any, new: Any, cached: Any) -> dict[str, Any]:
    return {"b": batch, "q": new, "c": cached, "k": cached + new, "s": cached + new, "n": 0, "p": 0, "a": 0}


@pytest.mark.parametrize("name", MODELS)
def test_every_preset_has_a_time(name: str) -> None:
    found = model(name)
    for step in (found.step(decode=values(3, 1, 100)), found.step(prefill=values(2, 101, 0))):
        assert 0 < step.kernels < step.seconds < 100
        assert all(cost.memory <= cost.seconds * 1.001 for cost in step.components.values())  # not above the bandwidth


def test_the_bytes_of_a_decode_step() -> None:
    found = model("llama3-8b").step(decode=values(1, 1, 1000))
    weights = llmcalc.params("llama3-8b").total - 128256 * 4096  # all but the input table
    cache = 32 * 2 * 1024 * 1001
    assert found.total.moved == pytest.approx(2 * (weights + cache), rel=2e-3)
    assert found.total.bound == "memory"
    assert model("llama3-8b").step(prefill=values(1, 2048, 0)).total.bound == "compute"


@pytest.mark.parametrize("name", ["llama3-8b", "deepseek-v3", "qwen3-next", "jamba", "gpt-oss-20b"])
def test_arrays_of_workloads_have_the_same_times(name: str) -> None:
    mesh = Mesh(dp=2, tp=2, ep=4, etp=1)
    found = model(name, mesh=mesh if name != "llama3-8b" else Mesh(tp=2))
    batch, cached = np.array([1.0, 7.0, 64.0]), np.array([101.0, 5003.0, 997.0])
    prefilled, prompt = np.array([0.0, 0.25, 2.0]), np.array([11.0, 1009.0, 307.0])
    together = found.step(values(batch, 1.0, cached), values(prefilled, prompt, 0.0), scheduled=True).seconds
    each = [
        found.step(values(b, 1.0, c), values(p, q, 0.0), scheduled=True).seconds
        for b, c, p, q in zip(batch.tolist(), cached.tolist(), prefilled.tolist(), prompt.tolist(), strict=True)
    ]
    assert together == pytest.approx(each)


def test_prefill_adds_less_to_a_step_than_it_takes_alone() -> None:
    found = model("llama3-8b")
    decode, prefill = values(32, 1, 1000), values(1, 512, 0)
    alone, both = found.step(decode).seconds, found.step(decode, prefill).seconds
    assert alone < both < alone + found.step(prefill=prefill).seconds


@pytest.mark.parametrize("name", ["llama3-70b", "mixtral-8x7b"])
def test_more_ranks_and_fewer_bits_are_faster(name: str) -> None:
    step = values(8, 1, 1000)
    times = [model(name, mesh=Mesh(tp=tp)).step(step).kernels for tp in (1, 2, 4, 8)]
    assert times == sorted(times, reverse=True)
    assert model(name, weights="fp8").step(step).kernels < model(name, weights="bf16").step(step).kernels
    assert model(name, gpu="h200").step(step).kernels < times[0]


def test_the_formats_of_a_class_replace_that_of_all_weights() -> None:
    step, name = values(4, 1, 500), "mixtral-8x7b"
    bytes_of = {
        (experts, attention): model(name, weights="bf16", experts=experts, attention_weights=attention).step(step)
        for experts in ("bf16", "fp8")
        for attention in ("bf16", "fp8")
    }
    moved = {key: each.components for key, each in bytes_of.items()}
    assert moved["fp8", "bf16"]["routed experts"].moved < moved["bf16", "bf16"]["routed experts"].moved
    assert moved["fp8", "bf16"]["attention"] == moved["bf16", "bf16"]["attention"]
    assert moved["bf16", "fp8"]["attention"].moved < moved["bf16", "bf16"]["attention"].moved


def test_an_unknown_engine_has_the_medians_of_the_others() -> None:
    assert not engine_step("my-engine").is_known
    assert engine_step("trtllm") == engine_step("TensorRT-LLM")
    assert 0 <= engine_step("my-engine").step_s <= engine_step("vllm").step_s


def test_llama_cpp_reads_weights_at_a_share_of_the_bandwidth() -> None:
    found = model("llama3-8b", "rtx-3060", "llama.cpp", weights="q4_k_m").step(decode=values(1, 1, 100))
    mlp = found.components["mlp"]
    assert 0.8 * mlp.seconds < mlp.memory < mlp.seconds


def test_a_rank_sends_its_partial_sums() -> None:
    found = model("llama3-70b", mesh=Mesh(tp=4)).step(decode=values(1, 1, 100))
    assert list(found.collectives) == ["all-reduce (tp)", "all-gather (tp)"]
    alone = model("llama3-70b").step(decode=values(1, 1, 100))
    assert alone.collectives == {}
    assert found.launches > alone.launches


def test_a_step_after_another_has_the_same_times_and_coefficients() -> None:
    found, other = model("deepseek-v3", mesh=Mesh(tp=8)), model("deepseek-v3", "h200", mesh=Mesh(tp=8))
    first = found.step(decode=values(7, 1, 1009))
    found.step(prefill=values(3, 101, 0))
    again = found.step(decode=values(7, 1, 1009))
    assert (again.seconds, again.efficiencies.keys()) == (first.seconds, first.efficiencies.keys())
    assert found.step(decode=values(11, 1, 1009)).seconds > first.seconds
    assert other.step(decode=values(7, 1, 1009)).kernels < first.kernels


def test_ranks_wait_for_the_last_one() -> None:
    waits = {
        tp: transfers(model("llama3-8b", mesh=Mesh(tp=tp)), {"decode": values(1, 1, 101)})[1] for tp in (1, 2, 4, 8)
    }
    assert waits[1] == 0
    assert waits[8] / waits[2] == pytest.approx(np.sqrt(np.log(8) / np.log(2)))


def test_llama_cpp_reads_the_cache_as_it_reads_weights() -> None:
    found = model("llama3-8b", "rtx-4090", "llama.cpp").step(decode=values(1, 1, 30011))
    ((_, core),) = {
        each.component: (each, cost) for each, cost in found.operations if "core" in each.component
    }.values()
    assert core.memory / core.seconds == pytest.approx(0.93)


@pytest.mark.parametrize(("name", "expected"), [("qwen3.5-27b", False), ("kimi-linear-48b-a3b", True)])
def test_a_decay_of_each_channel_has_kernels_of_its_own(name: str, expected: bool) -> None:
    used = model(name).step(prefill=values(1, 1009, 0)).efficiencies
    assert (("scan", "channel") in used, ("scan", "head") in used) == (expected, not expected)


@pytest.mark.parametrize(
    ("kind", "engine", "change", "expected"),
    [
        (Scan, "sglang", {}, 4),
        (Convolution, "sglang", {}, 2),
        (Scan, "vllm", {}, 2),  # as the activations
        (Scan, "vllm", {"state_dtype": "fp32"}, 4),
        (Scan, "sglang", {"state_dtype": "bf16"}, 2),
        (Convolution, "vllm", {"conv_dtype": "fp32"}, 4),
    ],
)
def test_states_have_the_formats_that_the_memory_counts(
    kind: type[Any], engine: str, change: dict[str, str], expected: int
) -> None:
    step = model("mamba2-2.7b", engine=engine, **change).step(values(7, 1, 13))
    found = [(operation, cost.moved) for operation, cost in step.operations if isinstance(operation, kind)]
    assert found
    for operation, moved in found:
        sizes = [float(form(**values(7, 1, 13))) for form in (operation.states, operation.activations)]
        assert moved == pytest.approx(expected * sizes[0] + 2 * sizes[1])
        assert sizes[0] > 0


def test_arrays_have_the_times_of_numbers_where_no_encoder_runs() -> None:
    """The attention of an encoder without images has no pairs, for one number of sequences and for several."""
    own, numbers = model("qwen3-vl-2b"), (1.0, 7.0, 131.0)
    found = own.step(values(np.array(numbers), 1, 101), scheduled=True).seconds
    assert found.tolist() == pytest.approx([own.step(values(n, 1, 101), scheduled=True).seconds for n in numbers])


def test_a_library_of_experts_counts_its_launches_itself() -> None:
    with_own, without = (model("mixtral-8x7b", engine=engine) for engine in ("vllm", "tensorrt-llm"))
    more = without.step(values(7, 1, 211)).launches - with_own.step(values(7, 1, 211)).launches
    assert more == pytest.approx(32 * without.engine.launches["GroupedGemm"] * without.engine.kernel_s)  # in 32 layers
    assert with_own.efficiencies["experts", "bf16"].kernel == "bf16 vllm"


@pytest.mark.parametrize(("name", "gpu", "version", "separate"), [
    ("qwen3-14b", "a100-sxm-80gb", None, True), ("qwen3-14b", "a100-sxm-80gb", "0.7", False),
    ("qwen3-14b", "h100-sxm", None, False), ("gpt-oss-20b", "a100-sxm-80gb", None, False),  # whose attention has sinks
])  # fmt: skip
def test_steps_with_prefill_compute_each_query_head_for_itself(
    name: str, gpu: str, version: str | None, separate: bool
) -> None:
    found = step_model(llmcalc.load(name), accelerator(gpu), Mesh(), "vllm", engine_version=version)
    component = next(each for each in found.step(values(1, 1, 97)).components if each.endswith("core"))
    alone, prefill, both = (
        found.step(decode, chunk).components[component].seconds
        for decode, chunk in (
            (values(97, 1, 4001), None), (None, values(1, 101, 0)), (values(97, 1, 4001), values(1, 101, 0))
        )
    )  # fmt: skip
    assert (both > 2 * (alone + prefill)) is separate


@pytest.mark.parametrize(("bridged", "whole"), [("a100-pcie-80gb", "a100-sxm-80gb"), ("h100-nvl", "h100-sxm")])
def test_a_bridge_joins_two_gpus(bridged: str, whole: str) -> None:
    """All-reduces of larger groups take the time of PCI Express, which has a tenth to a fifth of the bandwidth."""
    own = {"prefill": values(1, 4099, 0)}

    def seconds(gpu: str, ranks: int) -> float:
        found = model("llama3.1-8b", gpu, mesh=Mesh(tp=ranks)).step(**own).collectives
        return float(sum(found.values()))

    assert seconds(bridged, 2) < 2 * seconds(whole, 2)
    assert all(seconds(bridged, ranks) > 3 * seconds(whole, ranks) for ranks in (4, 8))
    stages = model("llama3.1-8b", bridged, mesh=Mesh(pp=4)).step(**own).collectives["send (pp)"]
    pair = model("llama3.1-8b", bridged, mesh=Mesh(pp=2)).step(**own).collectives["send (pp)"]
    assert stages > 3 * 3 * pair

"""Steps of two batches hide the exchange of tokens behind computation, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.errors import InputError
from llmcalc.inputs.gpus import accelerators
from llmcalc.serving.step.overlap import EXCHANGE_SMS
from llmcalc.serving.step.step import StepModel, step_values
from llmcalc.serving.step.step_models import step_model

DEEPSEEK = llmcalc.load("deepseek-v3")
WIDE = Mesh(dp=32, ep=32, tp=1, etp=1)
FEW = settings(max_examples=15, deadline=None)


def steps(overlap: bool, mesh: Mesh = WIDE, engine: str = "sglang", model: Any = DEEPSEEK) -> StepModel:
    return step_model(model, accelerators()["h100-sxm"], mesh, engine, two_batch_overlap=overlap)


@FEW
@given(st.integers(2, 512), st.integers(97, 9973), st.sampled_from([0, 1009, 8192]))
def test_two_halves_hide_the_exchange(batch: int, keys: int, prefill: int) -> None:
    values = (step_values(float(batch), 1.0, float(keys)),)
    values += (step_values(1.0, float(prefill), float(prefill)),) if prefill else ()
    halves = [{**each, "b": each["b"] / 2} for each in values]
    found, half = (model.step(*own, scheduled=True) for model, own in ((steps(True), values), (steps(False), halves)))
    whole = steps(False).step(*values, scheduled=True)
    slower = 132 / (132 - EXCHANGE_SMS) if prefill else 1
    experts = half.components["routed experts"].seconds * slower
    others = half.kernels * slower + half.launches - experts
    exchange = sum(half.collectives.values())
    sent, returned = (exchange * bits / 24.25 for bits in (8.25, 16))  # tokens in fp8 with scales, outputs in 16 bits
    stages = [max(each, stage) for each in (sent, returned) for stage in (experts, others)]
    assert found.seconds == pytest.approx(sum(stages) + whole.engine)
    assert found.kernels >= whole.kernels  # each half reads the weights
    assert found.engine == whole.engine
    assert set(found.collectives) == set(whole.collectives)
    assert found.total.flops >= whole.total.flops * (1 - 1e-9)  # more on the rank with the most tokens


def test_arrays_are_the_numbers() -> None:
    numbers = [1.0, 2.0, 31.0, 32.0, 257.0]
    for engine in ("sglang", "vllm"):
        model = steps(True, engine=engine)
        found = model.step(step_values(np.array(numbers), 1.0, 4099.0), scheduled=True)
        for place, number in enumerate(numbers):
            alone = model.step(step_values(number, 1.0, 4099.0), scheduled=True)
            assert found.seconds[place] == pytest.approx(alone.seconds)


@pytest.mark.parametrize(("engine", "least"), [("vllm", 32), ("sglang", 2)])
def test_few_tokens_are_one_batch(engine: str, least: int) -> None:
    few, enough = (
        [steps(overlap, engine=engine).step(step_values(float(number), 1.0, 4099.0), scheduled=True).seconds
         for overlap in (False, True)]
        for number in (least - 1, least)
    )  # fmt: skip
    assert few[0] == few[1]
    assert enough[0] != enough[1]


def test_without_an_exchange_nothing_overlaps() -> None:
    model = llmcalc.load("llama3.1-8b")
    one, other = (
        steps(overlap, Mesh(tp=2), model=model).step(step_values(64.0, 1.0, 4099.0), scheduled=True)
        for overlap in (False, True)
    )
    assert one.seconds == other.seconds
    with pytest.raises(InputError, match="two_batch_overlap: needs data-parallel ranks"):
        llmcalc.serve(model, "h100:2", isl=101, osl=53, two_batch_overlap=True)
    with pytest.raises(InputError, match="has no effect on TensorRT-LLM"):
        llmcalc.serve(DEEPSEEK, "h100:32", isl=101, osl=53, dp=32, ep=32, two_batch_overlap=True, engine="tensorrt-llm")


@pytest.mark.parametrize("command", [
    "vllm serve deepseek-ai/DeepSeek-V3 --data-parallel-size 32 --enable-expert-parallel --enable-dbo",
    "python -m sglang.launch_server --model deepseek-ai/DeepSeek-V3 --tp 32 --dp 32 --enable-dp-attention --ep 32 "
    "--enable-two-batch-overlap",
])  # fmt: skip
def test_flags_of_engines_overlap(command: str) -> None:
    own: dict[str, Any] = {"isl": 4099, "osl": 97, "concurrency": 2003}  # prefills gain the most
    found = llmcalc.serve(gpu="h100:32", command=command, **own)
    plain = llmcalc.serve(gpu="h100:32", command=command.rpartition(" ")[0], **own)
    assert found.tpot_s < plain.tpot_s
    assert found.reasons == ("no measurements of two-batch overlap under load",)
    assert "two-batch overlap needs the kernels of DeepEP, which have a flag of their own" in found.notes
    memory = llmcalc.serve(gpu="h100:32", command=command)
    assert "the effect of two-batch overlap on the memory is not computed" in memory.notes
    assert command.rpartition(" ")[2] in memory.line()


def test_a_search_overlaps_where_ranks_exchange_tokens() -> None:
    own: dict[str, Any] = {"isl": 2003, "osl": 499, "sla": "tpot<200ms,ttft<9s", "concurrency": 3001}
    one, other = (llmcalc.serve(DEEPSEEK, "h100:32", **own, two_batch_overlap=on).layouts for on in (False, True))
    assert other[0].tokens_per_s_gpu > 1.05 * one[0].tokens_per_s_gpu
    assert "--enable-dbo" in " ".join(other[0].commands.values())


def test_commands_of_experts_on_several_nodes_name_the_kernels_of_the_exchange() -> None:
    own: dict[str, Any] = {"isl": 2003, "osl": 499, "sla": "tpot<200ms,ttft<9s"}
    for gpu, concurrency, crosses in (("h100:32", 2003, True), ("h200:8", 97, False)):
        found = llmcalc.serve(DEEPSEEK, gpu, concurrency=concurrency, **own).layouts[0]
        assert ("--all2all-backend deepep_high_throughput" in " ".join(found.commands.values())) is crosses

"""Prefills and decoded tokens that share steps, compared with a simulated scheduler with the same times of steps."""

from __future__ import annotations

import random
from functools import cache
from typing import Any, NamedTuple

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.inputs.gpus import read_gpus
from llmcalc.serving.result import ServingResult
from llmcalc.serving.step.step import step_values
from llmcalc.serving.step.step_models import engine_step, step_model

ROUNDED = 16  # tokens of prefill in a simulated step


class Found(NamedTuple):
    requests_per_s: float
    decoding: float
    most_tokens: int


def simulated(
    gpu: str, isl: int, osl: int, concurrency: int, limit: int, weights: str | None, requests: int = 800
) -> Found:
    """Return what an engine serves that gives the tokens of a step to decoding requests, and the others to prompts."""
    card = read_gpus(gpu).accelerator
    assert card is not None
    steps = step_model(llmcalc.load("llama3.1-8b"), card, Mesh(), "vllm", weights=weights)
    source = random.Random(3)

    @cache
    def seconds(decoding: int, prefill: int) -> float:
        decode = step_values(float(decoding), 1.0, isl + osl / 2) if decoding else None
        chunk = min(prefill, isl)
        values = step_values(prefill / chunk, float(chunk), (isl + chunk) / 2 - chunk / 4) if prefill else None
        return float(steps.step(decode, values, scheduled=True).seconds)

    def new() -> list[int]:
        return [isl, round(osl * (0.7 + 0.6 * source.random()))]

    running = [[0, source.randrange(1, osl)] for _ in range(concurrency)]  # tokens to prefill, and to decode
    total, ended, decoded, count, most = 0.0, 0, 0, 0, 0
    while ended < requests + concurrency:
        decoding = [each for each in running if not each[0]]
        rest = limit - len(decoding)
        for each in running:
            if each[0] and rest:
                chunk = min(each[0], rest)
                each[0], rest = each[0] - chunk, rest - chunk
                each[1] -= not each[0]
        for each in decoding:
            each[1] -= 1
        prefill = limit - len(decoding) - rest
        is_counted = ended >= concurrency
        total += is_counted * seconds(len(decoding), -(-prefill // ROUNDED) * ROUNDED)
        decoded, count, most = (
            decoded + is_counted * len(decoding), count + is_counted, max(most, prefill + len(decoding))
        )  # fmt: skip
        left = [each for each in running if each[0] or each[1] > 0]
        ended += len(running) - len(left)
        running = [*left, *(new() for _ in range(len(running) - len(left)))]
    return Found(requests / total, decoded / count, most)


@pytest.mark.parametrize(("gpu", "isl", "osl", "concurrency", "limit", "weights"), [
    ("a100-sxm-80gb", 1009, 199, 64, 2048, None),
    ("a100-sxm-80gb", 1009, 199, 256, 2048, None),
    ("a100-sxm-80gb", 4001, 199, 128, 2048, "awq-int4-g128"),
    ("h100", 2003, 29, 128, 8192, None),
    ("h100", 509, 101, 256, 2048, None),
])  # fmt: skip
def test_steps_are_those_of_a_simulated_scheduler(
    gpu: str, isl: int, osl: int, concurrency: int, limit: int, weights: str | None
) -> None:
    own: dict[str, Any] = {"isl": isl, "osl": osl, "weights": weights, "engine": "vllm"}
    result = llmcalc.serve("llama3.1-8b", gpu, concurrency=concurrency, max_num_batched_tokens=limit, **own)
    assert isinstance(result, ServingResult)
    found = simulated(gpu, isl, osl, concurrency, limit, weights)
    assert found.most_tokens <= limit
    assert result.time.requests_per_s == pytest.approx(found.requests_per_s, rel=0.12)
    assert result.time.decoding == pytest.approx(found.decoding, rel=0.06)


@pytest.mark.parametrize(("engine", "limit"), [("vllm", 900), ("tensorrt-llm", 900), ("sglang", 1000)])
def test_decoded_tokens_come_first_where_they_share_the_tokens_of_a_step(engine: str, limit: int) -> None:
    own = engine_step(engine)
    assert own.prefill_limit(1000, 100) == limit
    most = own.most_decoded(1000, 300, 100)
    assert own.prefill_limit(1000, most) / 300 * 100 == pytest.approx(most)  # as many are prefilled as decoded
    assert own.prefill_limit(1000, 4000) >= 1

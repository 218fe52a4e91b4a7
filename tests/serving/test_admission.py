"""Requests that run at once, compared with simulated schedulers."""

from __future__ import annotations

import random

import pytest

from llmcalc.serving.admission import (
    Admission,
    RequestBytes,
    excess_probability,
    recomputed_tokens,
    reserved_bytes,
)
from llmcalc.serving.step.step_models import engine_step

from .schedulers import Engine, Estimating, Preempting

ENGINES = {"vllm": Preempting, "sglang": Estimating, "tensorrt-llm": Engine}


def tokens(isl: float, osl: float) -> RequestBytes:
    return RequestBytes(isl, isl + osl / 2, isl + osl)


def sizes(count: int) -> list[tuple[int, int, float]]:
    """Return random input and output tokens, and multiples of a whole request in the cache."""
    source = random.Random(3)
    return [
        (round(10 ** source.uniform(1.7, 3.3)), round(10 ** source.uniform(1.7, 2.8)), 10 ** source.uniform(1.1, 1.7))
        for _ in range(count)
    ]


@pytest.mark.parametrize(("isl", "osl", "whole"), sizes(8))
@pytest.mark.parametrize(("engine", "low"), [("vllm", 0.92), ("sglang", 0.75), ("tensorrt-llm", 0.92)])
def test_running_requests_are_those_of_a_simulation(engine: str, low: float, isl: int, osl: int, whole: float) -> None:
    """No request fits in parts of the cache, and SGLang's estimate is not always at its lowest."""
    space = round(whole * (isl + osl))
    expected = space / reserved_bytes(engine_step(engine).admission, tokens(isl, osl), osl)
    found, _ = ENGINES[engine](space, isl, osl, round(3 * whole)).run(300)
    assert low < found / expected < 1.02


def test_a_prefix_cache_lacks_the_tokens_that_the_growth_takes() -> None:
    """Of the 1009 + 499 tokens that a request frees, the others grow by 499."""
    again = [recomputed_tokens(tokens(1009, 499), 1009, 499, reuses_prefixes=reuses) for reuses in (True, False)]
    assert again[0] / again[1] == pytest.approx(499 / 1508)


@pytest.mark.parametrize(("isl", "osl", "whole"), sizes(5))
def test_tokens_that_are_computed_again_are_those_of_a_simulation(isl: int, osl: int, whole: float) -> None:
    space = round(whole * (isl + osl))
    _, again = Preempting(space, isl, osl, round(3 * whole)).run(400)
    expected = recomputed_tokens(tokens(isl, osl), isl, osl, reuses_prefixes=False)
    assert expected == pytest.approx(osl)
    assert 0.6 < again / expected < 1.5
    assert Engine(space, isl, osl, round(3 * whole)).run(100)[1] == 0


@pytest.mark.parametrize(("share", "low", "high"), [(0.85, 0.0, 0.05), (1.0, 0.15, 0.8), (1.2, 0.7, 1.3)])
def test_a_cache_is_exceeded_if_it_is_nearly_full(share: float, low: float, high: float) -> None:
    isl, osl, count = 499, 503, 40
    space = count * (isl + osl // 2)
    _, again = Preempting(space, isl, osl, round(share * count)).run(500)
    expected = osl * excess_probability(space, share * count, isl + osl / 2, osl)
    assert low <= again / osl <= high
    assert low <= expected / osl <= high


def test_a_published_run_preempts_as_often() -> None:
    """Pull request 44594 of vLLM: 450 requests of 1000 and 5000 tokens, 128 at once in 299,584 tokens.

    The simulation preempts a third more.
    """
    engine = Preempting(299_584, 1000, 5000, 128)
    _, again = engine.run(450)
    assert engine.preemptions == pytest.approx(1065, rel=0.4)
    assert again == pytest.approx(recomputed_tokens(tokens(1000, 5000), 1000, 5000, reuses_prefixes=False), rel=0.15)


def test_a_largest_estimate_is_the_mean_over_the_output() -> None:
    osl, most = 10_000, 4096
    mean = sum(min(rest, most) for rest in range(osl)) / osl
    found = reserved_bytes(Admission(0.3, most), tokens(101, osl), osl)
    assert found == pytest.approx(101 + osl / 2 + 0.3 * mean, rel=1e-4)


def test_recurrent_states_are_not_computed_again_for_growth() -> None:
    assert recomputed_tokens(RequestBytes(7.0, 7.0, 7.0), 100, 100, reuses_prefixes=False) == 0
    assert excess_probability(20.0, 2, 7.0, 0.0) == pytest.approx(0, abs=1e-9)

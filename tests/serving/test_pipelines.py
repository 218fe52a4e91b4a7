"""Memory of pipeline stages in vLLM: each rank logs its own, and all have the blocks of the stage with the fewest."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.interval import Interval
from llmcalc.core.record import changed
from llmcalc.serving.start.memory import ModelBytes, profiled

GIB = 2**30
RUN: dict[str, Any] = {"gpu_memory": "79.19GiB", "share": 0.95, "max_model_len": 8192, "engine_version": "0.19.0"}


@pytest.mark.parametrize(
    ("stages", "weights", "available", "tokens"),  # of logs (jgchn/llm-d-planner: llama-3-1-8b, tp1pp2 and tp1pp4)
    [(2, 7.51, 66.54, 1_075_312), (4, 4.26, 69.8, 2_257_264)],
)
def test_the_first_stage_prints_the_log(stages: int, weights: float, available: float, tokens: int) -> None:
    result = llmcalc.serve("llama3.1-8b", f"h100:{stages}", pp=stages, **RUN)
    assert result.logged_memory.weights.best / GIB == pytest.approx(weights, abs=0.01)
    assert result.logged_memory.available.best / GIB == pytest.approx(available, abs=0.02)
    assert f"Available KV cache memory: {result.logged_memory.available.best / GIB:.2f} GiB" in result.log()
    assert result.memory.activation.best / GIB == pytest.approx(2.01, abs=0.005)  # of the last stage, which samples
    assert result.tokens.best == pytest.approx(tokens, rel=0.003)


def test_all_ranks_print_the_log_of_an_older_version() -> None:
    result = llmcalc.serve("llama3.1-8b", "h100:2", pp=2, **{**RUN, "engine_version": "0.11.0"})
    assert result.logged_memory is result.memory


def test_the_stage_with_the_fewest_blocks_counts() -> None:
    """One of two stages has three layers of five, and both have the blocks of the one with less memory per layer."""
    size = {"n_layers": 5, "d_model": 4096, "vocab": 131_071}
    model = llmcalc.load("llama3.1-8b", overrides=[f"{name}={value}" for name, value in size.items()])
    whole = llmcalc.serve(model, "h100", **RUN)
    result = llmcalc.serve(model, "h100:2", pp=2, **RUN)
    rows = whole.groups.block_bytes / 5
    assert result.groups.block_bytes in (2 * rows, 3 * rows)
    assert result.first_stage is not None
    n_layers = int(result.groups.block_bytes / rows)
    others = {2: 3, 3: 2}[n_layers] * rows
    assert result.blocks.best <= result.first_stage.available.best / float(others)


def test_a_stage_keeps_what_an_earlier_one_sends() -> None:
    result = llmcalc.serve("llama3.1-8b", "h100", **RUN)
    constants = {name: Interval.exact(0) for name in result.profile.constants}
    constants |= {"forward": Interval.exact(3), "held": Interval.exact(5)}
    profile = changed(result.profile, constants=constants)
    memory = profiled(ModelBytes(weights=7, forward=11, hidden=13, logits=0, received=17), 10_007, profile)
    assert memory.activation == Interval.exact(3 * 11 + 5 * 13 + 17)
    assert memory.available.best == int(10_007 * 0.95) - 7 - memory.activation.best

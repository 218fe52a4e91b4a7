"""A measured time of a run: hours, cost and energy follow from it, and its parts add up to it."""

from __future__ import annotations

from math import isclose
from typing import Any

import pytest

import llmcalc
from llmcalc.training.measured import AS_MODELLED, FASTER, SLOWER

STEP: dict[str, Any] = {
    "tokens": 10_000_000_019, "seq": 4099, "gpu": "h100:8", "mesh": llmcalc.Mesh(dp=8, zero=3), "stack": "torchtitan",
}  # fmt: skip
TOKENS = 8 * 7 * 4099  # of a step


def run(**given: Any) -> Any:
    return llmcalc.train("llama3-8b", **{**STEP, **given})


def test_each_way_to_state_a_time_gives_the_same_run() -> None:
    seconds = 5.3
    hours = STEP["tokens"] / TOKENS * seconds * 8 / 3600
    ways = [
        run(step_time=seconds, batch_tokens=TOKENS),
        run(step_time="5300ms", batch_tokens=TOKENS),
        run(tokens_per_s=TOKENS / seconds, batch_tokens=TOKENS),
        run(hours=hours, batch_tokens=TOKENS),
    ]
    for each in ways:
        assert isclose(each.hours.mid, hours)
        assert each.hours.low == each.hours.mid == each.hours.high
        assert isclose(each.usual_cost, hours * llmcalc.train("llama3-8b", **STEP).usual_cost / run().hours.mid)
        assert isclose(each.measured.use.mfu, each.compute / (hours * 3600 * each.machine.peak), rel_tol=1e-6)
        llama = next(one for one in each.emissions if one.name == "llama1")
        assert isclose(llama.mwh.mid, hours * 700 * 1.1 / 1e6)
    assert isclose(ways[0].measured.seconds, ways[2].measured.seconds)


def test_where_a_step_lost_time_adds_up_to_it_and_the_interval_judges_it() -> None:
    modelled = run(batch_tokens=TOKENS).step_time
    for seconds, verdict in ((modelled.low * 0.97, FASTER), (modelled.high * 0.97, AS_MODELLED),
                             (modelled.high * 1.03, SLOWER)):  # fmt: skip
        found = run(step_time=seconds, batch_tokens=TOKENS).measured
        assert isclose(sum(found.lost.values()), seconds)
        assert found.verdict == verdict
        assert isclose(found.lost["at peak"], modelled.flops / modelled.gpus / modelled.peak, rel_tol=1e-4)
        assert isclose(found.lost["not explained"], seconds - modelled.seconds)
        assert isclose(found.unexplained.high, seconds - modelled.low)


def test_the_utilisation_of_each_convention_is_that_of_its_flops() -> None:
    found = run(step_time=7, batch_tokens=TOKENS, recompute="full")
    step, uses = found.step, found.measured.uses
    whole = found.hours.mid * 3600 * found.machine.peak * step.tokens / found.tokens
    for name, convention in llmcalc.calc.flop_conventions.CONVENTIONS.items():
        flops = llmcalc.calc.flop_conventions.conventional_flops(step)[name]
        used = uses[name].hfu if convention.is_hardware else uses[name].mfu
        assert isclose(used, flops / whole, rel_tol=1e-6)
        assert (uses[name].mfu is None) == ("narayanan" in name or "megatron" in name or "hardware" in name)
    causal, dense = uses["matmul causal"], uses["matmul dense"]
    assert isclose(dense.mfu, step.counting("dense").matmul / whole, rel_tol=1e-6)
    assert isclose(causal.hfu / causal.mfu, 1 + step.recomputed("full") / step.matmul)
    none = run(step_time=7, batch_tokens=TOKENS).measured.use
    assert none.hfu == none.mfu == causal.mfu


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"step_time": 3, "tokens_per_s": 5}, "step_time and tokens_per_s cannot be combined"),
        ({"hours": 7, "gpu": llmcalc.machine("h100:8", mfu=0.4)}, "hours and mfu cannot be combined"),
        ({"step_time": 3}, "step_time: has no effect without the tokens of a step"),
        ({"hours": 7, "gpu": None, "mesh": None, "stack": None}, "hours: has no effect without a GPU"),
        ({"hours": 0.01}, "hours: would be an MFU of"),
        ({"step_time": "3 furlongs", "batch_tokens": TOKENS}, "step_time: invalid amount '3 furlongs'"),
    ],
)
def test_a_conflict_is_one_message(given: dict[str, Any], error: str) -> None:
    with pytest.raises(llmcalc.InputError, match=error):
        run(**given)

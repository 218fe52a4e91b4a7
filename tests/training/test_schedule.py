"""Schedules of training steps: hand counts, what runs at once, and arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcalc.training.schedule import Overlaps, Shape, StageWork, TrainingCoefficients, Work, at_once, schedule

ONE = TrainingCoefficients()
SECONDS = st.floats(0.0, 11.0)


def stage(forward: float = 2.0, backward: float = 5.0, count: int = 1, **rest: float) -> StageWork:
    own = {"sends": 0.0, "replicas": 0.0, "optimizer": 0.0, **rest}
    return StageWork(Work(products=forward), Work(products=backward), Work(), count=count, **own)


def test_a_pipeline_waits_for_its_slowest_stage() -> None:
    found = schedule([stage(2, 5), stage(3, 8)], Shape(7), ONE, Overlaps())
    assert found.pace == 11
    assert found.bubble == 7
    assert found.seconds == 7 * 11 + 7
    halved = schedule([stage(2, 5), stage(3, 8)], Shape(7, virtual_stages=2), ONE, Overlaps())
    assert halved.seconds == 7 * 11 + 3.5
    equal = schedule([stage(2, 5, count=3), stage(3, 8)], Shape(7), ONE, Overlaps())
    assert equal.seconds == 7 * 11 + 21


def test_collectives_wait_or_run_beside_their_kernels() -> None:
    work = StageWork(Work(products=3.0, tp=2.0, attention=5.0, cp=1.0), Work(), Work(), 0.0, 0.0, 0.0)
    waiting = schedule([work], Shape(1), ONE, Overlaps()).seconds
    assert waiting == pytest.approx(11)
    beside = schedule([work], Shape(1), ONE, Overlaps(tp=1, cp=1)).seconds
    assert beside == pytest.approx((27 + 8) ** (1 / 3) + (125 + 1) ** (1 / 3))


def test_replicas_run_beside_one_micro_batch_or_all() -> None:
    own = stage(2, 5, replicas=7.0)
    shown = {
        (hidden, gathers): schedule([own], Shape(3, gathers=gathers), ONE, Overlaps(replicas=hidden)).visible
        for hidden in (0, 1) for gathers in (0, 1)
    }  # fmt: skip
    assert shown[0, 0] == pytest.approx(7) == shown[0, 1]
    assert shown[1, 0] == pytest.approx(at_once(7.0, 7.0) - 7)
    assert shown[1, 1] == pytest.approx(at_once(21.0, 7.0) - 21)


def test_small_kernels_take_the_time_of_their_launches() -> None:
    small = StageWork(Work(memory=1e-6, kernels=1000, calls=10), Work(), Work(), 0.0, 0.0, 0.0)
    fitted = TrainingCoefficients(kernel_us=7.0, call_us=31.0)
    assert schedule([small], Shape(1), fitted, Overlaps()).seconds == pytest.approx(7310e-6)
    assert schedule([small], Shape(1), fitted, Overlaps(host=3.0)).seconds == pytest.approx(3 * 7310e-6)


@given(
    st.lists(st.tuples(SECONDS, SECONDS, SECONDS, SECONDS), min_size=1, max_size=5), st.booleans(), st.integers(1, 9)
)
def test_arrays_give_what_each_run_gives(rows: list[tuple[float, ...]], hidden: bool, n_batches: int) -> None:
    def stages(values: tuple[object, ...]) -> list[StageWork]:
        first, second, third, fourth = values
        works = Work(products=first, tp=second), Work(attention=third, ep=first), Work(memory=fourth)
        return [
            StageWork(*works, second, third, fourth),
            StageWork(Work(products=fourth), Work(), Work(), 0.0, 0.0, 0.0, 2),
        ]

    overlaps, shape = Overlaps(tp=hidden, ep=hidden, replicas=hidden), Shape(n_batches, 2, 0, 1.5)
    fitted = TrainingCoefficients(kernel_us=3, step_ms=7, waiting=0.01)
    alone = [schedule(stages(row), shape, fitted, overlaps).seconds for row in rows]
    together = schedule(stages(tuple(np.array(column) for column in zip(*rows, strict=True))), shape, fitted, overlaps)
    assert together.seconds == pytest.approx(alone)


@given(SECONDS, SECONDS)
def test_two_things_at_once_take_the_longer_one_at_least(one: float, other: float) -> None:
    assert max(one, other) - 1e-9 <= at_once(one, other) <= one + other + 1e-9

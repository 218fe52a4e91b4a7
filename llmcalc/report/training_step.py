"""The part of the report for ``train`` about the time of a step, derived from its operations."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import spelled
from ..training.result import Training
from ..training.training_time import FASTEST, TrainingTime
from .document import Table, columns
from .memory import mesh_line
from .numbers import duration
from .provenance import three_digits

LEAST_SHARE = 0.005  # of a part of a step in a line


def main_parts(timed: TrainingTime) -> list[tuple[str, str]]:
    """Return the parts of a step that are not negligible with their shares, the largest first."""
    shares = sorted(((seconds / timed.seconds, name) for name, seconds in timed.parts.items()), reverse=True)
    return [(name, f"{100 * share:.0f} %") for share, name in shares if share >= LEAST_SHARE]


def training_step_tables(run: Training) -> Iterator[Table]:
    """Yield the parts of a step of the slowest rank."""
    if run.step_time is None:
        return
    step, speed = run.step_time.step, run.step_time.tokens_per_second
    heads = columns("part: name", "time: name", "share: share")
    parts = [(name, duration(seconds), seconds / step.seconds) for name, seconds in step.parts.items()]
    low, high = (duration(float(each)) for each in (run.step_time.low, run.step_time.high))
    title = f"a step by its operations: {low} to {high}, {three_digits(speed)} tokens/s per GPU"
    yield Table(title, heads, [*parts, ("total", duration(step.seconds), 1.0)])


def step_notes(run: Training) -> Iterator[str]:
    """Yield how the time of a step was derived."""
    if run.step_time is None:
        return
    timed, layout = run.step_time, run.step_time.step.layout
    sizes = f"{mesh_line(layout.mesh)}, micro-batches of {layout.micro_batch}, {timed.tokens:,} tokens"
    again = "without recomputation" if layout.recompute == "none" else f"{layout.recompute} recomputation"
    yield f"a step by its operations: {sizes}, {again}"
    if timed.origin == FASTEST:
        yield spelled("this layout is the fastest of the usual ones that fit; set {dp}, {tp} and {pp}")
    yield from (f"the interval is wider: {reason}" for reason in timed.interval.reasons)

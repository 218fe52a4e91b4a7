"""The part of the report for ``train`` about the time of a step, derived from its operations."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import spelled
from ..estimate.cost import FROM_OPERATIONS
from ..training.result import Training
from ..training.training_time import FASTEST
from .document import Fact, Table, columns
from .memory import mesh_line
from .numbers import duration, percent
from .provenance import range_text, three_digits


def other_estimate(run: Training) -> Iterator[Fact]:
    """Yield the hours of the estimate that is not the answer."""
    hours = run.other_hours
    if hours is None:
        return
    is_published = run.machine is not None and run.machine.mfu_source == FROM_OPERATIONS
    span = run.published.mfu if is_published and run.published else run.step_time and run.step_time.utilisation
    assert span
    note = f"middle {three_digits(hours.mid)}; MFU {percent(span.mid)}"
    yield Fact("by published MFU" if is_published else "by operations", range_text(hours.low, hours.high), "", note)


def training_step_tables(run: Training) -> Iterator[Table]:
    """Yield the parts of a step of the slowest rank."""
    if run.step_time is None:
        return
    step, speed = run.step_time.step, run.step_time.tokens_per_second
    heads = columns("part: name", "time: name", "share: share")
    parts = [(name, duration(seconds), seconds / step.seconds) for name, seconds in step.parts.items()]
    low, high = (duration(float(each)) for each in (run.step_time.interval.low, run.step_time.interval.high))
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
    error = f"median error {timed.error:.2g} % on sources left out of the fit"
    yield f"modelled: steps by their operations, {error}; the answer is the estimate with the smaller error"
    yield from (f"the interval is wider: {reason}" for reason in timed.interval.reasons)

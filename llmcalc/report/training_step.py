"""The part of the report for ``train`` about the time of a step, derived from its operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..calc.memory.fit import Fit
from ..calc.memory.recomputation import NONE, UNKNOWN
from ..core.errors import spelled
from ..training.result import Training
from ..training.timeline import timeline
from ..training.training_time import FASTEST, TrainingTime
from .document import Cell, Document, Table, columns
from .heading import model_document
from .memory import mesh_line
from .numbers import duration, duration_range, percent
from .provenance import three_digits

LEAST_SHARE = 0.005  # of a part of a step in a line
PICTURE_WIDTH = 56  # characters of the time of a pipeline
MOST_DRAWN, MORE_DRAWN = 32, 4  # stages of a picture, and micro-batches beyond their number
MARKS = "1234567890", "abcdefghij"  # of micro-batches in forward and in backward passes
IDLE = "·"


def main_parts(timed: TrainingTime) -> list[tuple[str, str]]:
    """Return the parts of a step that are not negligible with their shares, the largest first."""
    shares = sorted(((seconds / timed.seconds, name) for name, seconds in timed.parts.items()), reverse=True)
    return [(name, f"{100 * share:.0f} %") for share, name in shares if share >= LEAST_SHARE]


def training_step_tables(run: Training) -> Iterator[Table]:
    """Yield the parts of a step of the slowest rank, and its pipeline in time."""
    if run.step_time:
        yield _parts(run.step_time)
        yield from _pipeline(run.step_time, run.fit)


def _pipeline(timed: TrainingTime, fit: Fit | None) -> Iterator[Table]:
    """Yield what each pipeline stage does when, beside its memory, for the first micro-batches."""
    mesh, passes = timed.step.layout.mesh, timed.step.passes
    drawn = min(mesh.batches, mesh.pp if mesh.virtual_stages > 1 else mesh.pp + MORE_DRAWN)
    if not 1 < mesh.pp <= MOST_DRAWN or (mesh.virtual_stages > 1 and drawn % mesh.pp):
        return
    found = timeline(passes, drawn, mesh.virtual_stages)
    scale = PICTURE_WIDTH / max(each.end for each in found)
    rows = [[IDLE] * PICTURE_WIDTH for _ in passes]
    for each in found:
        first, last = round(each.start * scale), round(each.end * scale)
        rows[each.stage][first:last] = MARKS[each.is_backward][each.micro_batch % len(MARKS[0])] * (last - first)
    own: dict[str, Iterable[Cell]] = {"stage: number": range(mesh.pp)}
    own |= {"memory: about bytes": [stage.peak for stage in fit.result.stages]} if fit else {}
    own |= {f"{duration(PICTURE_WIDTH / scale)}: name": map("".join, rows)}
    of = f"the first {drawn} of {mesh.batches} micro-batches" if drawn < mesh.batches else f"{drawn} micro-batches"
    yield Table(
        f"pipeline with {of}: forward 1 2 3, backward a b c, waiting {IDLE}",
        columns(*own),
        [*zip(*own.values(), strict=True)],
    )


def _parts(timed: TrainingTime) -> Table:
    step, speed = timed.step, timed.tokens_per_second
    heads = columns("part: name", "time: name", "share: share")
    parts = [(name, duration(seconds), seconds / step.seconds) for name, seconds in step.parts.items()]
    ends = duration_range(timed.seconds, timed.low, timed.high)
    title = f"a step by its operations: {ends}, {three_digits(speed)} tokens/s per GPU"
    return Table(title, heads, [*parts, ("total", duration(step.seconds), 1.0)])


def step_document(timed: TrainingTime) -> Document:
    """Build the report of a step without a run."""
    rate = f"{three_digits(timed.tokens_per_second)} tokens/s per GPU, MFU {percent(timed.mfu)}"
    return model_document(
        timed.architecture, "step_time", lambda: ({}, timed.to_dict()), f" on {timed.gpus} GPUs",
        answer=f"{duration(timed.seconds, timed.low, timed.high)} a step, {rate}", tables=(_parts(timed),),
        lines=(mesh_line(timed.step.layout.mesh),), notes=_layout_notes(timed),
    )  # fmt: skip


def step_notes(run: Training) -> Iterator[str]:
    """Yield how the time of a step was derived."""
    if run.step_time:
        yield from _layout_notes(run.step_time)


def _layout_notes(timed: TrainingTime) -> Iterator[str]:
    layout = timed.step.layout
    sizes = f"{mesh_line(layout.mesh)}, micro-batches of {layout.micro_batch}, {timed.tokens:,} tokens"
    again = "without recomputation" if layout.recompute == NONE else f"{layout.recompute} recomputation"
    yield f"a step by its operations: {sizes}, {again}"
    if layout.recompute == UNKNOWN:
        yield "the time of a step is that without recomputation, as what is recomputed is not modelled"
    if timed.origin == FASTEST:
        yield spelled("this layout is the fastest of the usual ones that fit; set {dp}, {tp} and {pp}")
    yield from (f"the interval is wider: {reason}" for reason in timed.interval.reasons)

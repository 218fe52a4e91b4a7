"""Report for ``plan``: the best layout of a training step, those as good, the front, and how to launch it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..core.errors import spelled
from ..core.printable import three_digits
from ..data import table
from ..inputs.training_settings import PLAN
from ..search.training_plan import PlannedLayout, TrainingPlan
from ..training.programs import programs
from .document import Document, Table, assumed_settings, columns
from .heading import model_document
from .numbers import BYTES, dollars, duration, percent, readable

SHOWN, FEW = 3, 2  # rows of each group on a screen
MOST_ALL = 30  # rows of the whole table
HEADS = "layout: name", "step: number", "MFU: number 1", "memory: number", "slower: number"


def plan_document(result: TrainingPlan, spell: Callable[[Mapping[str, Any]], str] | None = None) -> Document:
    """Build the report of a plan. The title is the answer.

    ``spell`` returns the command line of ``train`` with the settings of a layout.
    """
    machine = result.machine
    found: dict[str, Any] = {}
    if result.best:
        found = {"summary": _summary(result), "next": _launches(result, spell), "tables": tuple(_tables(result))}
    return model_document(
        result.architecture, "plan", lambda: ({"settings": dict(result.space.fixed)}, result.to_dict()),
        f" on {machine.count} × {machine.accelerator.title}", answer=_answer(result), action=_batch(result),
        assumed=assumed_settings(PLAN, {"seq": result.space.run.seq, "batch_tokens": result.tokens}),
        notes=_notes(result), **found,
    )  # fmt: skip


def layout_text(layout: PlannedLayout) -> str:
    """Return the settings of a layout that differ from their defaults.

    >>> layout_text(PlannedLayout({"tp": 8, "sp": True, "recompute": "full", "micro_batch": 2}, 1.0, 1, 1.0, 0.5, None))
    'tp 8 sp recompute full micro-batch 2'
    """
    names = {"micro_batch": "micro-batch", "virtual_stages": "virtual", "zero_group": "of"}
    parts = [
        names.get(name, name) + ("" if value is True else f" {value}")
        for name, value in layout.given.items() if (name, value) != ("micro_batch", 1)
    ]  # fmt: skip
    return " ".join(parts)


def _answer(result: TrainingPlan) -> str:
    count, title = result.machine.count, result.machine.accelerator.title
    if not result.best:
        least = result.planned(result.others, 0)
        short = readable(least.memory_bytes - result.room, BYTES)
        return f"✗ no layout fits on {count} × {title}: {layout_text(least)} needs the least, {short} too much"
    best = result.best
    cost = f", {dollars((best.dollars, best.dollars))}" if result.order == "money" and best.dollars else ""
    rate = f"{three_digits(best.tokens_per_second)} tokens/s per GPU, MFU {percent(best.mfu)}"
    memory = readable(best.memory_bytes, BYTES)
    return f"✓ {layout_text(best)}: {duration(best.seconds)} a step{cost}, {rate}, {memory} per GPU"


def _batch(result: TrainingPlan) -> str:
    sequences, seq = result.space.run.step_sequences, result.space.run.seq
    text = f"{sequences:,} sequences of {seq:,} tokens a step"
    return (
        text if result.tokens == result.wanted else f"{text}, which layouts divide, instead of {result.wanted:,} tokens"
    )


def _row(result: TrainingPlan, layout: PlannedLayout) -> tuple[Any, ...]:
    best = min(result.layouts.seconds.min(), layout.seconds)
    return (
        layout_text(layout), duration(layout.seconds), percent(layout.mfu), readable(layout.memory_bytes, BYTES),
        f"{100 * (layout.seconds / best - 1):.1f} %",
    )  # fmt: skip


def _summary(result: TrainingPlan) -> Table:
    front, alike = result.front, result.indistinguishable
    step = max(len(front) // FEW, 1)
    groups = {
        "fastest": result.first(SHOWN),
        "as fast": alike[:SHOWN],
        "less memory": front[step::step][:FEW],
    }
    rows = [(name, *_row(result, layout)) for name, layouts in groups.items() for layout in layouts]
    if result.included:
        ranked = result.rank(**result.included)
        place = f"rank {ranked.place:,}" if ranked.place else "does not fit"
        rows.append((place, *_row(result, ranked.layout)))
    return Table("", columns(": group", *HEADS), rows)


def _launches(result: TrainingPlan, spell: Callable[[Mapping[str, Any]], str] | None) -> Table:
    own = result.command
    found = [("llmcalc", spell(own))] if spell and own else []
    for name, entry in table("launches").items():
        options = result.launch(name)
        found += [(entry["title"], " ".join([entry["command"], *options]))] if options else []
    return Table("", columns("next: name", "command: text"), found)


def _tables(result: TrainingPlan) -> Iterator[Table]:
    def table_with(title: str, layouts: Iterable[PlannedLayout]) -> Table:
        return Table(title, columns(*HEADS), [_row(result, layout) for layout in layouts])

    yield table_with("first", result.first(MOST_ALL))
    yield table_with("as fast within the error of the model, simplest first", result.indistinguishable)
    yield table_with("front of time and memory", result.front)


def _notes(result: TrainingPlan) -> Iterator[str]:
    fit, program = len(result.layouts), result.space.run.program
    if program.name not in programs():
        yield f"times of {program.title}"
    yield f"{result.valued:,} layouts were computed, of which {fit:,} fit in {readable(result.room, BYTES)}"
    error = 100 * table("training_plan")["ratio_error"]
    alike = len(result.indistinguishable)
    yield f"as fast: the simplest of the first {alike}, as the ratio of two times has an error of {error:.0f} %"
    if result.best:
        yield from (f"the interval is wider: {reason}" for reason in result.step.interval.reasons)
    else:
        yield spelled("use more GPUs, or a shorter {seq}")

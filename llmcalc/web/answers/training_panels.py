"""Panels of a model that is trained: ways to train it, charts, derivations and command lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ...api.find_recipes import find_recipes
from ...cli.commands import fit as fit_command
from ...cli.commands import train as train_command
from ...fitting.fit import FitResult
from ...report.document import Document
from ...report.numbers import BYTES, readable
from ...report.pictures import Axis, Chart, Curve, Mark, Picture
from ...report.provenance import four_digits, range_text
from ...report.train import train_document
from .case import MOST_KEPT
from .charts import MOST_SHOWN, counted, lengths
from .derivations import lines
from .training import USUAL_TOKENS, TrainingCase, duration_text, method_of

BATCHES = tuple(2**power for power in range(9))


def recipes(case: TrainingCase, _: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ways to train the model on the GPUs, best first, with the changes of the state that select them."""
    state = case.state
    return {"rows": _recipes(state.model, case.gpu.name, state.n, case.context)}


@lru_cache(maxsize=MOST_KEPT)
def _recipes(model: str, gpu: str, n: int, seq: int) -> list[dict[str, Any]]:
    found, rows = find_recipes(model, gpu, count=n, seq=seq), []
    for one in found.recipes:
        if one.host:
            continue  # the page has no optimizer in host memory
        own = {name: one.settings.get(name, "") for name in ("optimizer", "recompute", "loss")}
        needed = readable(one.needed + found.reserve, BYTES)
        rows.append({"method": one.method, "saving": one.saving, "fits": one.fits, "needed": needed, "batch": one.batch,
                     "set": {"method": method_of(one.settings), **own, "batch": max(one.batch, 1)}})  # fmt: skip
    return rows


def command_lines(case: TrainingCase) -> list[dict[str, str]]:
    """Return the command lines that give the same memory, time and cost."""
    state = case.state
    gpu = f"{state.gpu}:{state.n}" if state.n > 1 else state.gpu
    own = {"model": case.model_name, "gpu": gpu, "seq": case.context}
    found = [{"title": "memory", "line": fit_command.COMMANDS[0].line({**own, "batch": state.batch, **case.settings})}]
    if case.time_error:
        return found
    share = {"mfu": f"{state.mfu.rstrip('%')}%"} if state.mfu else {}
    adapters = {name: value for name, value in case.settings.items() if name == "lora_rank"}
    run = train_command.COMMANDS[0].line({**own, "tokens": state.tokens or USUAL_TOKENS, **share, **adapters})
    return [*found, {"title": "time and cost", "line": run}]


def documents(case: TrainingCase) -> dict[str, Document]:
    """Return the report of a run, by command."""
    return {"train": train_document(case.run)}


def length_curve(case: TrainingCase) -> Picture:
    """Return the memory of a GPU against the length of a sequence."""
    sizes = {float(size): case.fit_of(size) for size in lengths(case)}
    title = f"Memory per GPU against length, {counted(case.state.batch, 'sequence')} per GPU"
    return _curve(case, sizes, float(case.context), title, Axis("tokens per sequence", "tokens", True))


def batch_curve(case: TrainingCase) -> Picture:
    """Return the memory of a GPU against its sequences."""
    sizes = {float(size): case.fit_with(batch=size) for size in sorted({*BATCHES, case.state.batch})}
    title = f"Memory per GPU against batch size, {case.context:,} tokens per sequence"
    return _curve(case, sizes, float(case.state.batch), title, Axis("sequences per GPU", "count", True))


def _curve(case: TrainingCase, found: Mapping[float, FitResult], here: float, title: str, axis: Axis) -> Picture:
    whole = {size: float(one.needed + one.reserve) for size, one in found.items()}
    memory_bytes = float(case.fit.memory)
    shown = tuple((size, each) for size, each in whole.items() if size <= here or each <= MOST_SHOWN * memory_bytes)
    level = (f"GPU: {readable(case.fit.memory, BYTES)}", memory_bytes)
    return Chart(title, axis, Axis("bytes", BYTES), (Curve("", shown),), (Mark("", here, whole[here]),), (level,))


CHARTS: dict[str, Callable[[TrainingCase], Picture]] = {"memory_context": length_curve, "memory_batch": batch_curve}


def _compute(case: TrainingCase) -> dict[str, Any]:
    run = case.run
    per_token = four_digits(run.compute / run.step.tokens)
    return lines(
        "compute", f"{four_digits(run.compute)} FLOPs",
        ("per token", f"{per_token} FLOPs", "matrix products of forward and backward passes"),
        ("tokens", f"{run.step.tokens:,}", f"{run.sequences:,} sequences of {case.context:,} tokens"),
    )  # fmt: skip


def _hours(case: TrainingCase) -> dict[str, Any]:
    run, on = case.run, case.run.machine
    assert on
    assert run.hours
    assert case.spent
    hours = case.spent.hours
    share = range_text(100 * on.mfu.low, 100 * on.mfu.high)
    return lines(
        "GPU-hours", range_text(hours.low, hours.high),
        ("compute", f"{four_digits(run.mfu_flops)} FLOPs", "as the MFU counts them"),
        ("peak of a GPU", f"{four_digits(on.peak)} FLOP/s", f"dense, in {on.number_format}"),
        ("MFU", f"{share} %", on.mfu_source),
    )  # fmt: skip


def _time(case: TrainingCase) -> dict[str, Any]:
    assert case.spent
    gpus = ("GPUs", f"{case.state.n:,}", "compute at the same time")
    return lines("time", duration_text(case.spent.days.mid), _hours(case)["tree"], gpus)


def _rate(case: TrainingCase) -> dict[str, Any]:
    return lines("tokens per second", "", ("tokens", f"{case.run.tokens:,}", ""), _time(case)["tree"])


def _cost(case: TrainingCase) -> dict[str, Any]:
    own = case.run.price
    assert own
    assert case.spent
    assert case.spent.cost
    price = ("price of a GPU", f"{range_text(own.low, own.high, '$')} per hour", own.source)
    return lines("cost", range_text(*case.spent.cost, "$"), _hours(case)["tree"], price)


def _checkpoint(case: TrainingCase) -> dict[str, Any]:
    run = case.run
    return lines(
        "checkpoint", readable(run.resume_bytes, BYTES),
        ("weights", readable(run.weights_bytes, BYTES), ""),
        ("master copy and optimizer states", readable(run.resume_bytes - run.weights_bytes, BYTES), ""),
    )  # fmt: skip


RUN: dict[str, Callable[[TrainingCase], dict[str, Any]]] = {
    "compute": _compute, "hours": _hours, "time": _time, "rate": _rate, "cost": _cost, "checkpoint": _checkpoint,
}  # fmt: skip

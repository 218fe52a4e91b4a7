"""Report for ``train`` with the compute, time, cost, energy, storage and assumptions of a training run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..calc.touched_experts import expert_layers
from ..core.errors import spelled
from ..core.record import changed
from ..data import table
from ..estimate.cost import AS_GIVEN, FROM_OPERATIONS, is_of_mixtures
from ..training.published_runs import (
    is_published_accelerator,
    published_accelerator,
    published_fact,
    published_hours,
)
from ..training.result import Spending, Training
from ..training.step import NO_RECOMPUTATION
from ..training.training_time import WITHOUT_ROOM
from .document import Document, Fact, Table, table_of
from .flops import HALF_OF, HALF_REASON, convention_table, matmul_by_component, uncounted_prediction
from .heading import derivation, model_document, non_defaults, run_line, workload_inputs
from .memory import BYTES, fit_line, mesh_line, verdict
from .numbers import about, duration
from .points import settings_text
from .provenance import (
    assumptions,
    cost_fact,
    evidence_notes,
    four_digits,
    machine_line,
    range_text,
    span_fact,
    three_digits,
)
from .published_figures import training_comparison
from .training_step import other_estimate, step_notes, training_step_tables

SECONDS_PER_DAY = 86_400
RULE = "6·N·D"
COUNTED = {"causal": "visible query-key pairs only", "dense": "all query-key pairs", "6nd": "6·N·D"}  # by MFU


def train_document(run: Training, stated: bool = True, *, seq_stated: bool = True) -> Document:
    """Build the training report. The title is the answer.

    ``stated`` and ``seq_stated`` are whether the user specified the number of tokens, and of those of a sequence.
    """
    architecture, machine = run.architecture, run.machine
    origins = [*_origins(run, stated, seq_stated)]
    notes = [*step_notes(run), *_notes(run)]
    conventions = [f"{one.title}: {one.note}" for one in run.emissions if one.note]
    lines = (run_line(run.step.workload, run.tokens), machine_line(machine) if machine else "")
    return model_document(
        architecture, "train", lambda: _json(run, [*origins, *notes, *conventions, *architecture.notes]),
        f" on {about(run.tokens, '')} tokens", answer=_answer(run), workload=run.step.workload, lines=lines,
        alerts=_alerts(run), facts=tuple(_facts(run)), derivation=derivation("train", run), tables=_tables(run),
        notes=(*origins, *assumptions(machine, run.price), *notes), details=conventions,
    )  # fmt: skip


def _answer(run: Training) -> str:
    """Return the first line of the report, such as ``54.2 days on 2048 × NVIDIA H800 SXM5 80GB, $5.33M to $9.11M``."""
    if run.fit and not run.fit.fits:
        return fit_line(run.fit, each=" per GPU")
    if run.machine is None or run.answer is None:
        return f"{about(run.compute, '')} FLOPs, {about(run.pf_days, '')} PF-days"
    low, middle, high = run.answer.days
    if run.expected is None:  # at the given utilisation
        time, cost = _time_text(low, high), range_text(*run.cost, "$") if run.cost else ""
    else:
        ends = range_text(low, high) if low >= 1 else _time_text(low, high)
        origin = "as in the published run" if run.expected.is_published else ends
        time, cost = f"{_time_text(middle, middle)} ({origin})", _cost_text(run, run.answer)
    return ", ".join(filter(None, (f"{time} on {run.machine.count} × {run.machine.accelerator.title}", cost)))


def _time_text(low: float, high: float) -> str:
    """Format a range of days, in shorter units if it is below a day."""
    ends = (duration(days * SECONDS_PER_DAY) for days in (low, high))
    return f"{range_text(low, high)} days" if high >= 1 else " to ".join(dict.fromkeys(ends))


def _cost_text(run: Training, spent: Spending) -> str:
    """Return the cost of the expected hours: over all prices at the middle, or over all hours at a single price."""
    if run.price is None or spent.cost is None:
        return ""
    middle, hours = range_text(*spent.cost, "$"), spent.hours
    if run.price.low < run.price.high or hours.low == hours.high:
        return middle
    return f"{middle} ({range_text(*run.price.of(hours), '$')})"


def _facts(run: Training) -> Iterator[Fact]:
    of_adapters = f", {run.compute / run.step.matmul:.1%} of those of all parameters" if run.adapters else ""
    yield Fact("compute", run.compute, "FLOPs", f"matmul, exact; {about(run.pf_days, '')} PF-days{of_adapters}")
    if run.steps is not None and run.batch_tokens is not None:
        yield Fact("steps", run.steps, "", f"{run.batch_tokens:,} tokens each")
    if run.hours and run.days:
        yield span_fact("accelerator-hours", run.hours)
        yield from (*other_estimate(run), *_expected(run), *_days_and_cost(run), *_energy(run))
    else:
        yield Fact("time and cost", "not known", "", spelled("add the GPUs, such as {gpu=h100:512}"))
    if run.fit:
        yield Fact("per GPU", run.fit.needed, BYTES, f"{mesh_line(run.fit.result.mesh)}; {verdict(run.fit)}")
    resumed = "adapters" if run.adapters else "weights, master copy"
    yield Fact("checkpoint", run.weights_bytes, BYTES, "adapters only" if run.adapters else "weights only")
    yield Fact("to resume", run.resume_bytes, BYTES, f"{resumed} and optimizer states")
    yield Fact("read", run.read_bytes or None, BYTES, f"{run.token_bytes}-byte token IDs")
    for name, rule in _rules(run).items():
        why = HALF_REASON if rule == run.half_six_nd else "N includes embeddings"
        yield Fact(name, rule, "FLOPs", f"{why}; compute is {run.compute / rule:.4g}× this value")


def _rules(run: Training) -> dict[str, int]:
    """Return the FLOPs by rules of thumb."""
    return {RULE: run.six_nd, **({} if run.half_six_nd is None else {HALF_OF + RULE: run.half_six_nd})}


def _expected(run: Training) -> Iterator[Fact]:
    """Yield the published hours of the run, and those of other runs relative to the middle of the estimate."""
    assert run.hours
    tokens, hours = published_fact(run.architecture, "training_tokens"), published_hours(run.architecture)
    if tokens and hours and round(float(tokens.value)) == run.tokens:
        other = "" if is_published_accelerator(run) else published_accelerator(run.architecture)
        note = f"on {other}" if other else f"{hours / run.hours.mid:.2f}× the middle"
        yield Fact("published hours", three_digits(hours), "", note)
    if others := run.other_runs:
        low, high = (f"{hours / run.hours.mid:.2g}" for hours in (others.low, others.high))
        note = f"middle {three_digits(others.mid)}; 80 % of published runs: {low} to {high}×"
        yield Fact("hours as other runs", range_text(others.low, others.high), "", note)


def _days_and_cost(run: Training) -> Iterator[Fact]:
    """Yield the time and the cost at the utilisation, and before them those of the answer if they differ."""
    assert run.days
    own, cost, expected, answer = span_fact("days", run.days), cost_fact(run.cost, run.price), run.expected, run.answer
    if expected and answer:
        days = answer.days
        note = "as in the published run" if expected.is_published else f"as other runs; middle {three_digits(days.mid)}"
        yield Fact("days", range_text(days.low, days.high), "", note)
        yield Fact("cost", _cost_text(run, answer), "", cost.note)
        own = changed(own, label="days of computation", note="; ".join(filter(None, (own.note, "at the MFU"))))
        cost = changed(cost, label="cost of computation" if run.cost else "cost")
    yield from (own, cost)


def _alerts(run: Training) -> Iterator[str]:
    """Yield warnings of a step without room, and of a mixture of experts with the utilisation of dense models."""
    machine, entries = run.machine, table("utilisation")
    if machine and run.step_time and run.step_time.origin == WITHOUT_ROOM:
        room = "does not fit in memory: the time is that of GPUs with more memory"
        yield f"{room}; llmcalc fit lists the ways to train that fit"
    if machine and machine.mfu_source not in (AS_GIVEN, FROM_OPERATIONS) and not is_of_mixtures(machine, entries):
        others = "; ".join(
            f"{each['mid']:.1%} in {kind}, {each['of'].partition(':')[0]}"
            for formats in entries.values()
            for kind, each in formats.items()
            if each.get("experts")
        )
        text = f"the MFU is that of dense models; mixtures of experts usually reach less ({others}); set {{mfu}}"
        yield spelled(text) if expert_layers(run.architecture) else ""


def _energy(run: Training) -> Iterator[Fact]:
    """Yield the ranges of energy and emissions over all conventions."""
    conventions = f"by {len(run.emissions)} conventions"
    for name, label, unit, note in (("mwh", "energy", "MWh", conventions), ("tonnes", "emissions", "t CO2e", "")):
        if spans := [getattr(one, name) for one in run.emissions]:
            ends = range_text(min(each.low for each in spans), max(each.high for each in spans))
            yield Fact(label, ends, unit, note)


def _origins(run: Training, stated: bool, seq_stated: bool) -> Iterator[str]:
    """Yield where the number of tokens and the length of a sequence come from, unless they are stated."""
    fact = published_fact(run.architecture, "training_tokens")
    if fact and not stated:
        yield f"assumed: tokens as published, {fact.printed or four_digits(float(fact.value))}, {fact.source}"
    if not seq_stated:
        yield spelled(f"assumed: sequences of {run.step.workload.seq:,} tokens; set their length with {{seq}}")


def _tables(run: Training) -> tuple[Table, ...]:
    """Return the energy, and unless only adapters are trained, the FLOPs, the time of a step and published figures."""
    energy = table_of("energy and emissions by convention", run.emissions, {
        "convention: name": "title", "W: number": "watts", "PUE: number": "pue", "kg/kWh: number": "kg_per_kwh",
        "MWh: name": lambda one: range_text(one.mwh.low, one.mwh.high),
        "t CO2e: name": lambda one: range_text(one.tonnes.low, one.tonnes.high),
    })  # fmt: skip
    if run.adapters:
        return (energy,)
    name, rule = [*_rules(run).items()][-1]
    ours = {"tokens": four_digits(run.tokens), "flops": f"{four_digits(rule)} ({name})"}
    if run.hours and run.days:
        ours |= {"accelerator hours": four_digits(run.hours.mid), "days": four_digits(run.days.mid)}
    return (
        matmul_by_component(run.step), *training_step_tables(run),
        convention_table(run.step, formulas=False, matmul_only=True), energy,
        training_comparison(run.architecture, ours),
    )  # fmt: skip


def _notes(run: Training) -> Iterator[str]:
    if not run.adapters:
        yield from uncounted_prediction(run.step)
    if run.machine and run.mfu_flops != run.compute:
        counted = COUNTED[run.machine.mfu_count or ""]
        yield f"hours are those of {four_digits(run.mfu_flops)} FLOPs, since the published MFU counts {counted}"
    if run.adapters:
        trained = f"LoRA adapters of rank {run.adapters.rank} on {', '.join(run.adapters.targets)}"
        yield f"trained: {trained}; the gradients of frozen weights are not computed"
    if run.adapters and run.hours:
        yield "assumed: MFU and hours of runs that train all parameters; runs of adapters were not measured"
    if run.machine:
        only = "accelerator-hours cover only computation and exclude restarts, evaluation and trial runs"
        other = "; those of published runs include what each publication counts"
        yield f"{only}{other}" if run.other_runs else only
    if run.evidence.get("hours") == "measured":
        yield from evidence_notes("train", "hours")
    if run.machine and run.machine.accelerator.power is None:
        title = run.machine.accelerator.title
        yield spelled(f"the power of {title} is unconfirmed; set {{watts}}, {{pue}} and {{carbon}}")
    if run.machine and run.machine.count > 1 and not run.fit:
        yield spelled(f"for the memory per GPU, set a mesh such as {_usual_mesh(run)} (see llmcalc fit)")


def _usual_mesh(run: Training) -> str:
    """Return the arguments of the layout of the step, or those of ZeRO-3 on all GPUs."""
    assert run.machine
    timed = run.step_time
    if timed is None or timed.origin == WITHOUT_ROOM:
        return settings_text({"dp": run.machine.count, "zero": 3})
    layout = timed.step.layout
    own = non_defaults(layout.mesh)
    own |= {"micro_batch": layout.micro_batch} if layout.micro_batch > 1 else {}
    own |= {"recompute": layout.recompute} if layout.recompute != NO_RECOMPUTATION else {}
    return settings_text(own or {"dp": 1})


def _json(run: Training, notes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    basis = {"basis": "published run" if run.expected.is_published else "other runs"} if run.expected else {}
    return workload_inputs(run.step.workload), {
        **run.to_dict(),
        "as_other_runs": run.spending(run.other_runs).to_dict() if run.other_runs else None,
        "expected": {**run.answer.to_dict(), **basis} if run.answer and basis else None,
        "by_component": {name: count.matmul for name, count in run.step.by_component.items()},
        "notes": notes,
    }

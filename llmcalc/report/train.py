"""Report for ``train``: the time of a step and of the run, cost, memory per GPU, energy and assumptions."""

from __future__ import annotations

from collections.abc import Iterator

from ..calc.sharding import MESH
from ..calc.touched_experts import expert_layers
from ..core.errors import spelled
from ..core.record import changed
from ..core.type_names import Any
from ..data import table
from ..estimate.cost import MEASURED, Span, is_of_mixtures
from ..estimate.prices import usual_price
from ..training.measured import HOURS
from ..training.published_runs import (
    is_published_accelerator,
    published_accelerator,
    published_fact,
    published_hours,
)
from ..training.result import PUBLISHED_MFU, STEPS, Training
from ..training.run import SETTINGS
from ..training.training_time import WITHOUT_ROOM
from .document import Document, Fact, Table, assumed_settings, summary_table, table_of
from .flops import HALF_OF, HALF_REASON, convention_table, matmul_by_component, uncounted_prediction
from .heading import derivation, model_document, non_defaults, run_line, workload_inputs
from .measured_training import measured_answer, measured_facts, measured_tables
from .memory import BYTES, fit_line, mesh_line, verdict
from .numbers import about, duration, duration_range, percent
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
from .training_step import main_parts, step_notes, training_step_tables

SECONDS_PER_DAY = 86_400
RULE = "6·N·D"
COUNTED = {"causal": "visible query-key pairs only", "dense": "all query-key pairs", "6nd": "6·N·D"}  # by MFU


def train_document(run: Training, stated: bool = True, *, seq_stated: bool = True) -> Document:
    """Build the training report. The title is the answer.

    ``stated`` and ``seq_stated`` are whether the user specified the number of tokens, and of those of a sequence.
    """
    architecture, machine = run.architecture, run.machine
    origins = [*_origins(run, stated, seq_stated)]
    notes = [*_alerts(run), *step_notes(run), *_notes(run)]
    conventions = [f"{one.title}: {one.note}" for one in run.emissions if one.note]
    lines = (run_line(run.step.workload, run.tokens), machine_line(machine) if machine else "")
    return model_document(
        architecture, "train", lambda: _json(run, [*origins, *notes, *conventions, *architecture.notes]),
        f" on {about(run.tokens, '')} tokens{f', {_gpus(run)}' if machine else ''}", answer=_answer(run),
        workload=run.step.workload, lines=lines, facts=tuple(_facts(run)), derivation=derivation("train", run),
        tables=_tables(run), summary=summary_table(_summary(run)) if machine else None,
        assumed=assumed_settings((*SETTINGS, *MESH), _assumed(run)), notes=(*origins, *notes),
        details=(*assumptions(machine, run.price), *conventions),
    )  # fmt: skip


def _answer(run: Training) -> str:
    """Return the first line of the report, such as ``30.1 s a step, 8,710 tokens/s per GPU, MFU 45.3 %: 1.65 days``."""
    is_doubted = run.fit is not None and (run.fit.is_undecided or not run.fit.fits)
    short = fit_line(run.fit, each=" per GPU") if run.fit and is_doubted else ""
    if run.machine is None or run.answer is None:
        return short or f"{about(run.compute, '')} FLOPs, {about(run.pf_days, '')} PF-days"
    cost = f", ${three_digits(run.usual_cost)}" if run.usual_cost is not None else ""
    time, step = f"{_days_text(run.answer.days)}{cost}", run.step_time
    if run.measured:
        return "; ".join(filter(None, (short, measured_answer(run, time))))
    if step is None or run.basis != STEPS:
        return "; ".join(filter(None, (short, f"{time} at the {run.basis} of {percent(run.machine.mfu.mid)}")))
    if step.origin == WITHOUT_ROOM:
        short = "! no usual layout fits in memory; with more memory"
    rate = f"{three_digits(step.tokens_per_second)} tokens/s per GPU, MFU {percent(step.mfu)}"
    return "; ".join(filter(None, (short, f"{duration(step.seconds)} a step, {rate}: {time}")))


def _days_text(days: Span) -> str:
    """Format days with their range, in shorter units if they are below a day."""
    if days.mid < 1:
        own = (days.mid, days.low, days.high) if days.low < days.high else (days.mid,)
        return duration(*(each * SECONDS_PER_DAY for each in own))
    ends = f" ({range_text(days.low, days.high)})" if days.low < days.high else ""
    return f"{three_digits(days.mid)} days{ends}"


def _gpus(run: Training) -> str:
    assert run.machine
    return f"{run.machine.count} × {run.machine.accelerator.title}"


def _assumed(run: Training) -> dict[str, Any]:
    """Return the values of settings that the answer depends on."""
    found: dict[str, Any] = {"tokens": about(run.tokens, "").replace(" ", ""), "seq": run.step.workload.seq}
    if timed := run.step_time:
        mesh = changed(timed.step.layout.mesh, micro_batches=None)
        found |= {**non_defaults(mesh), "micro_batch": timed.step.layout.micro_batch}
        found |= {"batch_tokens": timed.tokens, "recompute": timed.step.layout.recompute}
    return found


def _summary(run: Training) -> Iterator[Fact]:
    """Yield the values that answer the question, with their intervals and what they rest on."""
    machine, answer, timed = run.machine, run.answer, run.step_time
    assert machine
    if run.measured:
        yield from measured_facts(run)
    elif timed:
        rests = f"{timed.tokens:,} tokens; {timed.basis}"
        ends = duration_range(timed.seconds, timed.low, timed.high)
        yield Fact("step", duration(timed.seconds), note=rests, interval=ends if timed.low < timed.high else "")
        low, high = timed.utilisation.low, timed.utilisation.high
        yield Fact("MFU", percent(timed.mfu), note=f"of {about(machine.peak, '')} FLOP/s in {machine.number_format}",
                   interval=f"{percent(low)} to {percent(high)}" if low < high else "")  # fmt: skip
    if answer is None:
        return
    yield _spread("days", answer.days, _restarts(run))
    rests = {STEPS: "", MEASURED: MEASURED}.get(run.basis, f"by {run.basis}")
    yield _spread("GPU-hours", answer.hours, rests)
    yield from _published(run)
    if (other := run.other_hours) and not (run.measured and run.measured.modelled):  # beside the step already
        yield _spread("by published MFU" if run.basis == STEPS else "by its steps", other, "GPU-hours")
    if run.price and run.usual_cost is not None:
        usual, hours = usual_price(machine.accelerator, run.price), answer.hours
        low, high = run.price.low, run.price.high
        quoted = f"; quotes from ${low:,.2f} to ${high:,.2f}" if low < high else ""
        ends = range_text(hours.low * usual, hours.high * usual, "$") if hours.low < hours.high else ""
        yield Fact("cost", f"${three_digits(run.usual_cost)}", note=f"at ${usual:,.2f}{quoted}", interval=ends)
    if run.fit:
        yield Fact("memory per GPU", run.fit.needed, BYTES, verdict(run.fit))
    if spans := [one.mwh for one in run.emissions]:
        ends = range_text(min(each.low for each in spans), max(each.high for each in spans))
        middle = sorted(each.mid for each in spans)[len(spans) // 2]
        yield Fact("energy", three_digits(middle), note=f"MWh, by {len(spans)} conventions", interval=ends)
    if run.measured is None:
        yield Fact("compute", about(run.compute, ""), note="FLOPs, exact")
    if timed and not run.measured:
        (largest, share), *others = main_parts(timed)
        yield Fact(largest, share, note=" · ".join(f"{name} {share}" for name, share in others))


def _spread(label: str, span: Span, note: str) -> Fact:
    ends = range_text(span.low, span.high) if span.low < span.high else ""
    return Fact(label, three_digits(span.mid), note=note, interval=ends)


def _restarts(run: Training) -> str:
    """Return how much longer published runs took than their steps."""
    if run.other_runs is None or run.hours is None:
        return "" if run.measured and run.measured.setting == HOURS else "without restarts"
    low, high = (f"{hours / run.hours.mid:.2g}" for hours in (run.other_runs.low, run.other_runs.high))
    return f"without restarts; published runs took {low} to {high} times"


def _published(run: Training) -> Iterator[Fact]:
    """Yield the published hours of the run."""
    tokens, hours = published_fact(run.architecture, "training_tokens"), published_hours(run.architecture)
    if tokens and hours and run.hours and round(float(tokens.value)) == run.tokens:
        other = "" if is_published_accelerator(run) else published_accelerator(run.architecture)
        note = f"on {other}" if other else f"GPU-hours, {hours / run.hours.mid:.2f} times"
        yield Fact("published run", three_digits(hours), note=note)


def _facts(run: Training) -> Iterator[Fact]:
    of_adapters = f", {run.compute / run.step.matmul:.1%} of those of all parameters" if run.adapters else ""
    yield Fact("compute", run.compute, "FLOPs", f"matmul, exact; {about(run.pf_days, '')} PF-days{of_adapters}")
    if run.steps is not None and run.batch_tokens is not None:
        yield Fact(STEPS, run.steps, "", f"{run.batch_tokens:,} tokens each")
    if run.hours and run.days:
        yield span_fact("accelerator-hours", run.hours)
        yield span_fact("days", run.days)
        yield cost_fact(run.cost, run.price)
        for name, label, unit in (("mwh", "energy", "MWh"), ("tonnes", "emissions", "t CO2e")):
            if spans := [getattr(one, name) for one in run.emissions]:
                ends = range_text(min(each.low for each in spans), max(each.high for each in spans))
                yield Fact(label, ends, unit, f"by {len(spans)} conventions")
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


def _alerts(run: Training) -> Iterator[str]:
    """Yield warnings of a step without room, and of a mixture of experts with the utilisation of dense models."""
    if run.step_time and run.step_time.origin == WITHOUT_ROOM:
        yield "no usual layout fits in memory; llmcalc fit lists the ways to train that fit"
    machine = run.machine if run.basis == PUBLISHED_MFU else None
    if machine and not is_of_mixtures(machine, table("utilisation")) and expert_layers(run.architecture):
        yield spelled("the MFU is that of dense models; mixtures of experts usually reach less; set {mfu}")


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
        return (*measured_tables(run), *training_step_tables(run), energy)
    name, rule = [*_rules(run).items()][-1]
    ours = {"tokens": four_digits(run.tokens), "flops": f"{four_digits(rule)} ({name})"}
    if run.hours and run.days:
        ours |= {"accelerator hours": four_digits(run.hours.mid), "days": four_digits(run.days.mid)}
    return (
        *measured_tables(run), matmul_by_component(run.step), *training_step_tables(run),
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
    if run.evidence.get("hours") == "measured" and not run.measured:
        yield from evidence_notes("train", "hours")
    if run.machine and run.machine.accelerator.power is None:
        title = run.machine.accelerator.title
        yield spelled(f"the power of {title} is unconfirmed; set {{watts}}, {{pue}} and {{carbon}}")


def _json(run: Training, notes: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    return workload_inputs(run.step.workload), {
        **run.to_dict(),
        "as_other_runs": run.spending(run.other_runs).to_dict() if run.other_runs else None,
        "expected": {**run.answer.to_dict(), "basis": run.basis} if run.answer else None,
        "by_component": {name: count.matmul for name, count in run.step.by_component.items()},
        "notes": notes,
    }

"""Report for ``train`` with the compute, time, cost, energy, storage and assumptions of a training run."""

from __future__ import annotations

from typing import Any

from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.errors import spelled
from ..core.record import changed
from ..data import table
from ..estimate.amounts import HOURS_A_DAY
from ..estimate.cost import AS_GIVEN, FROM_OPERATIONS, Machine, Span, is_of_mixtures
from ..training.layouts import NO_RECOMPUTATION
from ..training.published_runs import (
    as_other_runs,
    expected_hours,
    is_published_accelerator,
    published_accelerator,
    published_fact,
    published_hours,
)
from ..training.run import Training
from ..training.step_time import WITHOUT_ROOM
from .document import Document, Fact, Table, columns
from .fit import verdict
from .flops import convention_table, matmul_by_component
from .heading import derivation, model_document, run_line, workload_inputs
from .memory import BYTES, mesh_line
from .numbers import about, duration
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
COUNTED = {"causal": "visible query-key pairs only", "dense": "all query-key pairs", "6nd": "6·N·D"}  # by MFU


def train_document(run: Training, stated: bool = True, *, seq_stated: bool = True) -> Document:
    """Build the training report. The title is the answer.

    ``stated`` and ``seq_stated`` are whether the user specified the number of tokens, and of those of a sequence.
    """
    architecture, machine = run.architecture, run.machine
    lines = (run_line(run.step.workload, run.tokens), *((machine_line(machine),) if machine else ()))
    return model_document(
        architecture,
        "train",
        lambda: _json(run, stated, seq_stated),
        f" on {about(run.tokens, '')} tokens",
        answer=_answer(run),
        lines=lines,
        alerts=_alerts(run),
        facts=tuple(_facts(run)),
        derivation=derivation("train", run),
        tables=(
            *_step_tables(run),
            _emissions(run),
            *(() if run.adapters else training_comparison(architecture, _ours(run))),
        ),
        notes=(
            *_tokens(run, stated),
            *_length(run, seq_stated),
            *assumptions(machine, run.price),
            *step_notes(run),
            *_notes(run),
        ),
        details=_conventions(run),
    )


def _answer(run: Training) -> str:
    """Return the first line of the report, such as ``54.2 days on 2048 × NVIDIA H800 SXM5 80GB, $5.33M to $9.11M``."""
    if run.fit and not run.fit.fits:
        return f"✗ {verdict(run.fit)} per GPU"
    if run.machine is None or run.days is None:
        return f"{about(run.compute, '')} FLOPs, {about(run.pf_days, '')} PF-days"
    machine, (time, cost) = run.machine, _time_and_cost(run)
    answer = f"{time} on {machine.count} × {machine.accelerator.title}"
    return f"{answer}, {cost}" if cost else answer


def _time_and_cost(run: Training) -> tuple[str, str]:
    """Return the time and the cost of the answer: of the published run, as other runs, or at the given utilisation."""
    assert run.days
    machine, expected = run.machine, expected_hours(run)
    if machine is None or expected is None:
        return _time_text(run.days.low, run.days.high), range_text(*run.cost, "$") if run.cost else ""
    low, middle, high = expected.hours.times(1 / machine.count / HOURS_A_DAY)
    ends = range_text(low, high) if low >= 1 else _time_text(low, high)
    origin = "as in the published run" if expected.is_published else ends
    return f"{_time_text(middle, middle)} ({origin})", expected_cost_text(run, expected.hours)


def _time_text(low: float, high: float) -> str:
    """Format a range of days, in shorter units if it is below a day."""
    ends = (duration(days * SECONDS_PER_DAY) for days in (low, high))
    return f"{range_text(low, high)} days" if high >= 1 else " to ".join(dict.fromkeys(ends))


def expected_cost(run: Training, hours: Span) -> tuple[float, float] | None:
    """Return the cost of the middle of the expected hours."""
    return (run.price.low * hours.mid, run.price.high * hours.mid) if run.price else None


def expected_cost_text(run: Training, hours: Span) -> str:
    """Return the cost of the expected hours: over all prices at the middle, or over all hours at a single price."""
    if run.price is None:
        return ""
    middle = range_text(run.price.low * hours.mid, run.price.high * hours.mid, "$")
    if run.price.low < run.price.high or hours.low == hours.high:
        return middle
    return f"{middle} ({range_text(run.price.low * hours.low, run.price.high * hours.high, '$')})"


def _facts(run: Training) -> list[Fact]:
    of_adapters = f", {run.compute / run.step.matmul:.1%} of those of all parameters" if run.adapters else ""
    days = f"matmul, exact; {about(run.pf_days, '')} PF-days{of_adapters}"
    facts = [Fact("compute", run.compute, "FLOPs", days)]
    if run.steps is not None and run.batch_tokens is not None:
        facts.append(Fact("steps", run.steps, "", f"{run.batch_tokens:,} tokens each"))
    if run.hours and run.days:
        facts += [span_fact("accelerator-hours", run.hours), *other_estimate(run), *_expected(run)]
        facts += [*_days_and_cost(run), *_energy(run)]
    else:
        facts.append(Fact("time and cost", "not known", "", spelled("add the GPUs, such as {gpu=h100:512}")))
    if run.fit:
        facts.append(Fact("per GPU", run.fit.needed, BYTES, f"{mesh_line(run.fit.result.mesh)}; {verdict(run.fit)}"))
    resumed = "adapters" if run.adapters else "weights, master copy"
    facts += [
        Fact("checkpoint", run.weights_bytes, BYTES, "adapters only" if run.adapters else "weights only"),
        Fact("to resume", run.resume_bytes, BYTES, f"{resumed} and optimizer states"),
    ]
    if run.read_bytes:
        facts.append(Fact("read", run.read_bytes, BYTES, f"{run.token_bytes}-byte token IDs"))
    factor = f"N includes embeddings; compute is {run.compute / run.six_nd:.4g}× this value"
    return [*facts, Fact("6·N·D", run.six_nd, "FLOPs", factor)]


def _expected(run: Training) -> list[Fact]:
    """Return the published hours of the run, and those of other runs relative to the middle of the estimate."""
    assert run.hours
    found = list[Fact]()
    tokens, hours = published_fact(run.architecture, "training_tokens"), published_hours(run.architecture)
    if tokens and hours and round(float(tokens.value)) == run.tokens:
        other = "" if is_published_accelerator(run) else published_accelerator(run.architecture)
        note = f"on {other}" if other else f"{hours / run.hours.mid:.2f}× the middle"
        found.append(Fact("published hours", three_digits(hours), "", note))
    if others := as_other_runs(run):
        low, high = (f"{hours / run.hours.mid:.2g}" for hours in (others.low, others.high))
        note = f"middle {three_digits(others.mid)}; 80 % of published runs: {low} to {high}×"
        found.append(Fact("hours as other runs", range_text(others.low, others.high), "", note))
    return found


def _days_and_cost(run: Training) -> list[Fact]:
    """Return the time and the cost at the utilisation, and before them those of the answer if they differ."""
    assert run.days
    expected, cost = expected_hours(run), cost_fact(run.cost, run.price)
    if expected is None or run.machine is None:
        return [span_fact("days", run.days), cost]
    days = expected.hours.times(1 / run.machine.count / HOURS_A_DAY)
    note = "as in the published run" if expected.is_published else f"as other runs; middle {three_digits(days.mid)}"
    found = [Fact("days", range_text(days.low, days.high), "", note)]
    if text := expected_cost_text(run, expected.hours):
        found.append(Fact("cost", text, "", cost.note))
    middle = "" if run.days.low == run.days.high else f"middle {three_digits(run.days.mid)}; "
    found.append(Fact("days of computation", range_text(run.days.low, run.days.high), "", f"{middle}at the MFU"))
    label = "cost of computation" if run.cost else "cost"
    return [*found, changed(cost, label=label)]


def _alerts(run: Training) -> list[str]:
    """Return warnings of a step without room, and of a mixture of experts with the utilisation of dense models."""
    found, machine = list[str](), run.machine
    if machine and run.step_time and run.step_time.origin == WITHOUT_ROOM:
        room = "does not fit in memory: the time is that of GPUs with more memory"
        found.append(f"{room}; llmcalc fit lists the ways to train that fit")
    if machine and machine.mfu_source not in (AS_GIVEN, FROM_OPERATIONS) and expert_layers(run.architecture):
        found += _alerts_of_mixtures(machine)
    return found


def _alerts_of_mixtures(machine: Machine) -> list[str]:
    entries = table("utilisation")
    if is_of_mixtures(machine, entries):
        return []
    others = "; ".join(
        f"{each['mid']:.1%} in {kind}, {each['of'].partition(':')[0]}"
        for formats in entries.values()
        for kind, each in formats.items()
        if each.get("experts")
    )
    return [spelled(f"the MFU is that of dense models; mixtures of experts usually reach less ({others}); set {{mfu}}")]


def _energy(run: Training) -> list[Fact]:
    """Return the ranges of energy and emissions over all conventions."""
    if not run.emissions:
        return []
    found = {"energy": [one.mwh for one in run.emissions], "emissions": [one.tonnes for one in run.emissions]}
    ranges = {
        name: (min(each.low for each in spans), max(each.high for each in spans)) for name, spans in found.items()
    }
    return [
        Fact("energy", range_text(*ranges["energy"]), "MWh", f"by {len(run.emissions)} conventions"),
        Fact("emissions", range_text(*ranges["emissions"]), "t CO2e"),
    ]


def _ours(run: Training) -> dict[str, str]:
    """Return the calculated values, keyed by the names of the corresponding published quantities."""
    values = {"tokens": four_digits(run.tokens), "flops": f"{four_digits(run.six_nd)} (6·N·D)"}
    if run.hours and run.days:
        values |= {"accelerator hours": four_digits(run.hours.mid), "days": four_digits(run.days.mid)}
    return values


def _tokens(run: Training, stated: bool) -> tuple[str, ...]:
    fact = published_fact(run.architecture, "training_tokens")
    if stated or fact is None:
        return ()
    return (f"assumed: tokens as published, {fact.printed or four_digits(float(fact.value))}, {fact.source}",)


def _length(run: Training, stated: bool) -> tuple[str, ...]:
    text = f"assumed: sequences of {run.step.workload.seq:,} tokens; set their length with {{seq}}"
    return () if stated else (spelled(text),)


def _step_tables(run: Training) -> list[Table]:
    """Return the FLOPs and the time of a step that trains all parameters, or nothing for a run of adapters."""
    if run.adapters:
        return []
    conventions = convention_table(run.step, formulas=False, matmul_only=True)
    return [matmul_by_component(run.step), *training_step_tables(run), conventions]


def _emissions(run: Training) -> Table:
    rows = [
        (
            one.title,
            one.watts,
            one.pue,
            one.kg_per_kwh,
            *(range_text(each.low, each.high) for each in (one.mwh, one.tonnes)),
        )
        for one in run.emissions
    ]
    heads = columns("convention: name", "W: number", "PUE: number", "kg/kWh: number", "MWh: name", "t CO2e: name")
    return Table("energy and emissions by convention", heads, rows)


def _notes(run: Training) -> list[str]:
    notes = []
    if run.architecture.is_encoder_decoder:
        notes.append(
            "6·N·D counts every token in both stacks, but each token passes through only one, so 3·N·D is closer"
        )
    if run.machine and run.mfu_flops != run.compute:
        counted = COUNTED[run.machine.mfu_count or ""]
        notes.append(f"hours are those of {four_digits(run.mfu_flops)} FLOPs, since the published MFU counts {counted}")
    if run.adapters:
        trained = f"LoRA adapters of rank {run.adapters.rank} on {', '.join(run.adapters.targets)}"
        notes.append(f"trained: {trained}; the gradients of frozen weights are not computed")
    if run.adapters and run.hours:
        notes.append("assumed: MFU and hours of runs that train all parameters; runs of adapters were not measured")
    if run.machine:
        only = "accelerator-hours cover only computation and exclude restarts, evaluation and trial runs"
        other = "; those of published runs include what each publication counts"
        notes.append(f"{only}{other}" if as_other_runs(run) else only)
    if run.evidence.get("hours") == "measured":
        notes += evidence_notes("train", "hours")
    if run.machine and run.machine.accelerator.power is None:
        title = run.machine.accelerator.title
        notes.append(spelled(f"the power of {title} is unconfirmed; set {{watts}}, {{pue}} and {{carbon}}"))
    if run.machine and run.machine.count > 1 and not run.fit:
        notes.append(spelled(f"for the memory per GPU, set a mesh such as {_usual_mesh(run)} (see llmcalc fit)"))
    return notes


def _usual_mesh(run: Training) -> str:
    """Return the arguments of the layout of the step, or those of ZeRO-3 on all GPUs."""
    assert run.machine
    timed = run.step_time
    if timed is None or timed.origin == WITHOUT_ROOM:
        return f"{{dp={run.machine.count}}} {{zero=3}}"
    layout = timed.step.layout
    mesh, whole = layout.mesh, Mesh()
    names = ("dp", "tp", "pp", "ep", "etp", "sp", "zero", "micro_batches")
    parts = [(name, getattr(mesh, name)) for name in names if getattr(mesh, name) != getattr(whole, name)]
    more = {"micro_batch": layout.micro_batch > 1, "recompute": layout.recompute != NO_RECOMPUTATION}
    parts += [(name, getattr(layout, name)) for name, is_set in more.items() if is_set]
    return " ".join(f"{{{name}={value}}}" for name, value in parts) or "{dp=1}"


def _conventions(run: Training) -> list[str]:
    return [f"{one.title}: {one.note}" for one in run.emissions if one.note]


def _whole_json(run: Training, hours: Span | None) -> dict[str, Any] | None:
    """Return the hours, days and cost of a whole run."""
    machine = run.machine
    if machine is None or hours is None:
        return None
    cost = expected_cost(run, hours)
    return {
        "hours": hours._asdict(),
        "days": hours.times(1 / machine.count / HOURS_A_DAY)._asdict(),
        "cost": dict(zip(("low", "high"), cost, strict=True)) if cost else None,
    }


def _expected_json(run: Training) -> dict[str, Any] | None:
    """Return the answer: hours, days and cost, and what they rest on."""
    expected = expected_hours(run)
    whole = expected and _whole_json(run, expected.hours)
    return whole and expected and {**whole, "basis": "published run" if expected.is_published else "other runs"}


def _json(run: Training, stated: bool, seq_stated: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    data = {
        **run.to_dict(),
        "as_other_runs": _whole_json(run, as_other_runs(run)),
        "expected": _expected_json(run),
        "by_component": {name: count.matmul for name, count in run.step.by_component.items()},
        "notes": [
            *_tokens(run, stated),
            *_length(run, seq_stated),
            *step_notes(run),
            *_notes(run),
            *_conventions(run),
            *run.architecture.notes,
        ],
    }
    return workload_inputs(run.step.workload), data

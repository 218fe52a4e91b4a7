"""Report for ``latency``: the time of a batch, its parts and what limits them, and a roofline plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..core.errors import spelled
from ..core.printable import three_digits
from ..fitting.advice import Change
from ..inputs.serving_settings import LATENCY
from ..kernels.cost import LAUNCHES
from ..kernels.operations import Gemm, GroupedGemm
from ..serving.latency_times import DECODE, GENERATE, Latency, Part
from ..serving.latency_tree import latency_tree
from ..serving.memory import engine_title
from .document import Document, Fact, Table, assumed_settings, summary_table, table_of
from .file_formats import sixteen_bit_line
from .heading import model_document, named_values, workload_inputs
from .numbers import duration, percent
from .pictures import Axis, Chart, Curve, Mark
from .points import MOST_ROWS, RANKS, changes_table, sizes_of, time_fact, unused_alert

SMALLEST_ROW = 0.001  # of the time
SMALLEST_PART = 0.02  # of the time of a step, as a point of the roofline
BOUNDS = {"memory": "memory-bound", "compute": "compute-bound", LAUNCHES: "between kernels"}  # parts of the time


def latency_document(result: Latency, changes: Callable[[], Iterable[Change]] = tuple) -> Document:
    """Build the latency report. The title is the answer.

    ``changes`` returns changed settings with which the batch fits, or with which it is computed faster.
    """
    model, notes = result.model, _notes(result)
    layout = sizes_of(model.mesh)
    chosen = "" if result.is_usual else f" as {named_values(layout) or 'tp 1'} (chosen layout)"
    found: dict[str, Any] = {"summary": Table("", (), [])}
    if result.fits:  # times of a batch that cannot run are not shown
        found = {
            "summary": summary_table(_facts(result)), "tables": (parts_table(result),),
            "charts": lambda: (roofline(result),),
            "notes": (sixteen_bit_line(result.architecture, model.engine.name, _formats(result)), *notes[:-1]),
        }  # fmt: skip
    return model_document(
        result.architecture,
        "latency",
        lambda: _json(result),
        f" on {result.count} × {result.accelerator.title} in {engine_title(model.engine.name)}{chosen}",
        answer="; ".join(filter(None, [_answer(result), result.unserved])),
        excess=result.excess,
        assumed=assumed_settings(LATENCY, _assumed(result)),
        lines=(named_values({**_lengths(result), **layout, "weights": _formats(result)}),),
        alerts=unused_alert(result.count - model.mesh.ranks, result.count),
        next=_others(result, changes()),
        derivation=lambda: (latency_tree(result),),
        pictures=lambda: (roofline(result, with_parts=True),),
        details=(*notes[-1:], *result.measured_on) if result.fits else result.measured_on,
        **found,
    )


def _assumed(result: Latency) -> dict[str, Any]:
    """Return the values of settings that the time depends on."""
    model, start = result.model, result.engine_memory.start if result.engine_memory else None
    lengths = {name.replace(" ", "_").replace("prompt", "seq"): size for name, size in _lengths(result).items()}
    sizes = sizes_of(model.mesh) if result.has_default_layout else {}
    version = start.profile.version if start and model.engine.depends_on_version else None
    engine = "" if result.unserved else model.engine.name
    cache = None if result.is_encoder else model.cache.name
    return {**lengths, **sizes, "engine": engine, "engine_version": version, "cache": cache}


def _answer(result: Latency) -> str:
    if not result.fits:
        return f"✗ {result.refusal}"
    span, batch, rate = duration(result.seconds), result.workload.batch, result.tokens_per_s
    if result.mode == DECODE:
        users = f"{three_digits(rate / batch)} tokens/s per user"
        both = f", {three_digits(rate)} tokens/s in total" if batch > 1 else ""
        return f"A decode step takes {span}: {users}{both}"
    if result.mode == GENERATE:
        number = f"{result.new_tokens:,} tokens" if batch == 1 else f"{batch} × {result.new_tokens:,} tokens"
        return f"Generating {number} takes {span}: {three_digits(rate)} tokens/s"
    prompt = f"{result.workload.seq:,} tokens" if batch == 1 else f"{batch} × {result.workload.seq:,} tokens"
    if result.is_encoder:
        sequences = f"{three_digits(result.sequences_per_s)} sequences/s"
        return f"A forward pass of {prompt} takes {span}: {sequences}, {three_digits(rate)} tokens/s"
    return f"A prefill of {prompt} takes {span}: {three_digits(rate)} tokens/s"


def span_text(step: Latency) -> str:
    """Format a time with its interval."""
    return duration(step.seconds, step.low, step.high)


def _lengths(result: Latency) -> dict[str, Any]:
    workload = result.workload
    if result.mode == DECODE:
        return {"batch": workload.batch, "context": workload.context}
    generated = {"new tokens": result.new_tokens} if result.mode == GENERATE else {}
    return {"batch": workload.batch, "seq" if result.is_encoder else "prompt": workload.seq, **generated}


def _formats(result: Latency) -> str:
    """Return the number formats of the matrices."""
    model, found = result.model, dict[str, None]()
    for pair in model.paired:
        for operation in pair.values():
            if isinstance(operation, (Gemm, GroupedGemm)):
                own = (model.formats.of(operation).format_of(operation.place, each.tensor.name)
                       for each in operation.weights)  # fmt: skip
                found |= dict.fromkeys(each.name for each in own if each)
    return ", ".join(found)


def _facts(result: Latency) -> list[Fact]:
    """Return the times, what limits them, and how much of the GPU they use."""
    first, device, prompt, batch = result.first_token_s, result.model.device, result.prompt, result.workload.batch
    total, inside = result.total, f"8 of 10 within ×/÷ {result.high / result.seconds:.2f}"
    what = {DECODE: "per output token", GENERATE: "generation"}.get(result.mode, "prefill")
    facts = [time_fact("forward pass" if result.is_encoder else what, span_text(result), inside)]
    if prompt:
        number = f"{batch} × " if batch > 1 else ""
        text = f"of {number}{result.workload.context:,} tokens"
        facts.append(time_fact("prefill", span_text(prompt), text))
    facts += [Fact("time to first token", duration(first))] if first else []
    facts += [
        Fact(BOUNDS.get(bound, bound), percent(seconds / result.seconds), "of the time")
        for bound, seconds in result.by_bound.items()
    ]
    reached = percent(total.moved / result.seconds / device.bandwidth)
    facts.append(Fact("bandwidth used", reached, f"of {device.bandwidth / 1e9:,.0f} GB/s"))
    if total.compute:
        share, peak = total.compute / result.seconds, total.flops / total.compute
        facts.append(Fact("FLOP/s used", percent(share), f"of {peak / 1e12:,.0f} TFLOP/s"))
    return facts[:MOST_ROWS]


def parts_table(result: Latency) -> Table:
    """Return a table of the parts. Small ones are summed in one row."""
    large = [part for part in result.parts if part.seconds >= SMALLEST_ROW * result.seconds]
    small = [part for part in result.parts if part not in large]
    if small:
        seconds, moved, flops = (sum(getattr(part, name) for part in small) for name in ("seconds", "moved", "flops"))
        large.append(Part("others", seconds, "", moved, flops))
    total = ("total", duration(result.seconds), 1.0, "", round(result.total.moved), round(result.total.flops))
    return table_of("by part, on one GPU", large, {
        "part: name": lambda part: _title(part.name), "time: text": lambda part: duration(part.seconds),
        "share: share": lambda part: part.seconds / result.seconds, "bound: text": lambda part: _title(part.bound),
        "bytes: about bytes 1": lambda part: round(part.moved) or None,
        "FLOPs: about 2": lambda part: round(part.flops) or None,
    }, total)  # fmt: skip


def _title(name: str) -> str:
    return {LAUNCHES: "between kernels"}.get(name, name)


def _others(result: Latency, changes: Iterable[Change]) -> Table:
    """Return a table of the settings with which the batch fits, or with which it is computed faster."""

    def each(one: Latency) -> str:
        return three_digits(one.sequences_per_s if one.is_encoder else one.tokens_per_s / one.workload.batch)

    return changes_table(changes, {
        "time: text": lambda one: duration(one.seconds),
        "sequences/s: text" if result.is_encoder else "tokens/s per user: text": each,
        "tokens/s in total: text": lambda one: three_digits(one.tokens_per_s),
    })  # fmt: skip


def _notes(result: Latency) -> list[str]:
    notes = [*map(spelled, result.notes), *(f"the interval is wider: {reason}" for reason in result.interval.reasons)]
    if own := result.measured:
        notes.append(f"calibrated by {own.n_rows:,} measurements: {own.factors.summary}")
    notes += [f"assumed, as no figure of this GPU is known: {text}" for text in result.model.assumed]
    notes.append("one batch without a queue; the interval contains 80 % of measured times (llmcalc evidence latency)")
    return notes


def roofline(result: Latency, *, with_parts: bool = False) -> Chart:
    """Return the plot of the FLOP/s that the bandwidth and the peak allow, with the decode step and the prefill.

    With parts, the components of the model are further points.
    """
    if result.mode == GENERATE:
        names = ("prefill", "decode")
        cases = [(name, step.total, step.seconds) for name, (step, _) in zip(names, result.steps, strict=False)]
    else:
        both = [result, *([result.prompt] if result.prompt else [])]
        cases = [(each.mode, each.total, each.seconds) for each in both]
    bandwidth = float(result.model.device.bandwidth)
    peak = max(result.model.plain.peak, *(float(cost.flops / cost.compute) for _, cost, _ in cases if cost.compute))
    ridge = peak / bandwidth
    at = [ridge * 2.0**power for power in range(-12, 7)]
    curve = Curve("roofline", tuple((x, min(x * bandwidth, peak)) for x in at))
    step = result.steps[-1][0]
    if with_parts:
        large = {name: cost for name, cost in step.components.items() if cost.seconds > SMALLEST_PART * step.seconds}
        cases += [(name, cost, cost.seconds) for name, cost in large.items()]
    marks = tuple(
        Mark(name, float(cost.flops / cost.moved), float(cost.flops / seconds))
        for name, cost, seconds in cases if cost.flops
    )  # fmt: skip
    x, y = Axis("FLOPs per byte", "count", True), Axis("FLOP/s", "FLOPs", True)
    return Chart(f"Roofline of {result.accelerator.title}", x, y, (curve,), marks, ())


def _json(result: Latency) -> tuple[dict[str, Any], dict[str, Any]]:
    model, mesh = result.model, result.model.mesh
    inputs = {
        **workload_inputs(result.workload), "gpu": result.accelerator.name, "count": result.count,
        **{name: getattr(mesh, name) for name in RANKS}, "engine": model.engine.name,
        "new_tokens": result.new_tokens,
        "cache": model.cache.name,
    }  # fmt: skip
    return inputs, {**result.to_dict(), "notes": list(result.architecture.notes)}

"""Report for ``serve`` with the time of requests under load, and what an output token takes."""

from __future__ import annotations

from typing import Any

from ..api.serving_time import ServingResult
from ..core.errors import spelled
from .document import Document, Fact, Table, columns
from .heading import model_document, named_values


def serving_document(result: ServingResult) -> Document:
    """Build the report of the time of requests. The title is the answer."""
    mesh, load = result.mesh, result.load
    layout = {name: size for name in ("tp", "dp", "ep") if (size := getattr(mesh, name)) > 1}
    settings = {"isl": load.isl, "osl": load.osl, "concurrency": f"{load.concurrency:g}", **layout}
    unused = result.gpus - mesh.tp * mesh.dp
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        f" in {result.engine_title} on {mesh.tp * mesh.dp} × {result.accelerator.title}",
        answer=f"{'✓' if result.all_run else '✗'} {result.summary}",
        lines=(named_values(settings),),
        alerts=[f"the layout leaves {unused} of {result.gpus} GPUs unused"] if unused else (),
        facts=tuple(_facts(result)) if result.fits else (),
        tables=(_changes(result), *([_parts(result)] if result.fits else ())),
        main=1 if result.changes and result.fits else 0,
        notes=_notes(result) if result.fits else (),
        details=_kernels(result),
    )


def milliseconds(seconds: float) -> str:
    """Format a time in milliseconds.

    >>> milliseconds(0.0123456)
    '12.3 ms'
    """
    return f"{seconds * 1e3:,.3g} ms" if seconds < 1 else f"{seconds * 1e3:,.0f} ms"


def dollars(span: tuple[float, float]) -> str:
    """Format a range of prices in US dollars.

    >>> dollars((0.1234, 2.5)), dollars((1.0, 1.0))
    ('$0.123 to $2.5', '$1')
    """
    low, high = (f"${price:,.3g}" for price in span)
    return low if low == high else f"{low} to {high}"


def _kernels(result: ServingResult) -> list[str]:
    """Return where the coefficients of the kernels were measured, in one line for each place."""
    places: dict[str, list[str]] = {}
    for name, origin in result.kernels.items():
        kind, _, place = origin.partition(" ")
        text = f"measured on {place}" if place else "fitted to all measured GPUs"
        places.setdefault(f"{text} (same kernels)" if kind == "sibling" else text, []).append(name.replace("_", " "))
    return [f"kernels {text}: {', '.join(names)}" for text, names in places.items()]


def _changes(result: ServingResult) -> Table:
    """Return a table of changed settings with which more requests run."""
    rows = [
        (spelled(" ".join(f"{{{name}={value}}}" for name, value in change.items())),
         f"{one.running:,} of {one.load.concurrency:,.10g}",
         milliseconds(one.tpot_s) if one.tpot_s else "", f"{one.tokens_per_s_gpu:,.0f}")
        for change, one in result.changes
    ]  # fmt: skip
    heads = columns("settings: name", "running requests: text", "per output token: text", "tokens/s per GPU: text")
    return Table("with other settings" if result.fits else "fits with", heads, rows)


def _facts(result: ServingResult) -> list[Fact]:
    time = result.time
    if result.ttft_s is not None and result.ttft_low_s is not None and result.ttft_high_s is not None:
        span = f"{milliseconds(result.ttft_low_s)} to {milliseconds(result.ttft_high_s)}"
        first = Fact("first token", milliseconds(result.ttft_s), f"({span})")
    else:
        first = Fact("first token", "saturated", "requests wait for memory")
    limit = "number of requests" if time.waiting <= 0 else "KV cache"
    facts = []
    if result.tpot_s is not None and result.tpot_low_s is not None and result.tpot_high_s is not None:
        span = f"{milliseconds(result.tpot_low_s)} to {milliseconds(result.tpot_high_s)}"
        facts.append(Fact("per output token", milliseconds(result.tpot_s), f"({span})"))
    facts += [
        first,
        Fact("running requests", f"{result.running:,}", f"limited by the {limit}"),
        Fact("requests", f"{time.requests_per_s:,.3g}", "per second"),
        Fact("output tokens", f"{result.tokens_per_s_gpu:,.3g}", "per second and GPU"),
    ]  # fmt: skip
    if result.price and result.usd_per_million_output and result.usd_per_million:
        facts.append(Fact("million output tokens", dollars(result.usd_per_million_output), "if input is free"))
        facts.append(Fact("million tokens", dollars(result.usd_per_million), "input and output"))
    return facts


def _parts(result: ServingResult) -> Table:
    time, step = result.time, result.time.step
    if result.tpot_s is None:
        return Table("an output token", (), [])
    found = [(name, cost.seconds, cost.bound) for name, cost in step.components.items()]
    found += [(name, seconds, "communication") for name, seconds in step.collectives.items()]
    found += [("between kernels", step.launches, "launches"), ("engine", step.engine, "engine")]
    found.append(("prefill of other requests", time.tpot_s - step.seconds, "compute"))
    rows = [
        (name, milliseconds(float(seconds)), float(seconds / time.tpot_s), bound)
        for name, seconds, bound in found
        if seconds
    ]
    total = ("total", milliseconds(result.tpot_s), 1.0, "")
    return Table("an output token", columns("part: name", "time: text", "share: share", "bound: text"), rows, total)


def _notes(result: ServingResult) -> tuple[str, ...]:
    reasons = tuple(f"the interval is wider: {reason}" for reason in result.reasons)
    own = result.price
    price = (f"price of a GPU: {dollars((own.low, own.high))} per hour, {own.source}",) if own else ()
    return (*result.notes, *reasons, *price, "intervals contain 80 % of measured times; requests arrive as others end")


def _json(result: ServingResult) -> tuple[dict[str, Any], dict[str, Any]]:
    times = result.to_dict()
    own = {name: times.pop(name) for name in ("engine", "evidence")}
    inputs = {name: times.pop(name) for name in ("gpu", "gpus", "tp", "dp", "ep", "isl", "osl", "concurrency", "chunk")}
    del times["notes"], times["model"]
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}

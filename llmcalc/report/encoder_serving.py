"""Report for ``serve`` with the throughput of an encoder."""

from __future__ import annotations

from typing import Any

from ..core.errors import spelled
from ..serving.encoders import EncoderServing, engine_name
from .document import Document, Fact
from .heading import model_document, named_values
from .latency import parts_table
from .numbers import duration
from .serving import dollars


def encoder_document(result: EncoderServing) -> Document:
    """Build the report of the throughput of an encoder. The title is the answer."""
    mesh = result.step.model.mesh
    layout = {name: size for name in ("tp", "dp") if (size := getattr(mesh, name)) > 1}
    settings = {"isl": result.isl, "concurrency": f"{result.concurrency:g}", "batch": result.batch, **layout}
    unused = result.step.count - result.gpus
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        f" in {engine_name(result)} on {result.gpus} × {result.accelerator.title}",
        answer=f"{'✓' if result.fits else '✗'} {result.summary}",
        lines=(named_values(settings),),
        alerts=[f"the layout leaves {unused} of {result.step.count} GPUs unused"] if unused else (),
        facts=tuple(_facts(result)) if result.fits else (),
        tables=(parts_table(result.step),) if result.fits else (),
        notes=_notes(result) if result.fits else (),
        details=result.step.measured_on,
    )


def _facts(result: EncoderServing) -> list[Fact]:
    step = result.step
    facts = [
        Fact(
            "forward pass",
            duration(step.seconds, step.low, step.high),
            f"of {result.batch:,} sequence{'s' * (result.batch > 1)}",
        )
    ]
    price, spent = result.price, result.usd_per_million
    if price and spent:
        hourly = dollars((price.low, price.high))
        facts.append(Fact("price", dollars(spent), f"per million tokens, at {hourly} per GPU-hour"))
    return facts


def _notes(result: EncoderServing) -> list[str]:
    notes = [spelled("one request at a time is assumed: {concurrency} sets the number")] * result.is_concurrency_assumed
    notes += [f"at most {result.max_num_batched_tokens:,} tokens in a forward pass of one GPU or group of GPUs"]
    if result.concurrency > result.batch:
        waiting = f"{result.concurrency - result.batch:,.6g}"
        notes.append(f"{waiting} requests wait for the batches before their own")
    notes += [f"the interval is wider: {reason}" for reason in result.step.interval.reasons]
    notes += [f"assumed, as no figure of this GPU is known: {text}" for text in result.step.model.assumed]
    notes.append("all sequences have the same length; no time of tokenising text or of the network is included")
    return notes


def _json(result: EncoderServing) -> tuple[dict[str, Any], dict[str, Any]]:
    times = result.to_dict()
    names = ("gpu", "gpus", "tp", "dp", "isl", "concurrency", "max_num_batched_tokens")
    inputs = {name: times.pop(name) for name in names}
    own = {name: times.pop(name) for name in ("engine", "evidence")}
    del times["model"]
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}

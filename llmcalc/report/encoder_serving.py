"""Report for ``serve`` with the throughput of an encoder."""

from __future__ import annotations

from typing import Any

from ..core.errors import spelled
from ..core.printable import plural
from ..serving.encoders import EncoderServing
from ..serving.memory import engine_title
from .document import Document, Fact, Table, summary_table
from .heading import model_document, named_values
from .latency import parts_table, span_text
from .points import point_data, time_fact, unused_alert
from .serving_money import price_facts

INPUTS = ("gpu", "gpus", "tp", "dp", "isl", "concurrency", "max_num_batched_tokens")


def encoder_document(result: EncoderServing) -> Document:
    """Build the report of the throughput of an encoder. The title is the answer."""
    settings = {"isl": result.isl, "concurrency": f"{result.concurrency:g}", "batch": result.batch, **result.sizes}
    parts: dict[str, Any] = {"summary": Table("", (), [])}
    if result.fits:
        parts = {
            "summary": summary_table(_facts(result)),
            "tables": (parts_table(result.step),),
            "notes": _notes(result),
        }
    return model_document(
        result.architecture,
        "serve",
        lambda: point_data(result, _notes(result), INPUTS),
        f" in {engine_title(result.engine)} on {result.used} × {result.accelerator.title}",
        answer=f"{'✓' if result.fits else '✗'} {result.summary}",
        excess=result.excess,
        lines=(named_values(settings),),
        alerts=unused_alert(result.step.count - result.used, result.step.count),
        details=result.step.measured_on,
        **parts,
    )


def _facts(result: EncoderServing) -> tuple[Fact, ...]:
    step = result.step
    passed = time_fact("forward pass", span_text(step), f"of {plural(result.batch, 'sequence')}")
    return passed, *price_facts(result, step.high / step.seconds, tokens=result.usd_per_million)


def _notes(result: EncoderServing) -> list[str]:
    notes = [spelled("one request at a time is assumed: {concurrency} sets the number")] * result.is_concurrency_assumed
    notes += [f"at most {result.max_num_batched_tokens:,} tokens in a forward pass of one GPU or group of GPUs"]
    if result.concurrency > result.batch:
        notes.append(f"{result.concurrency - result.batch:,.6g} requests wait for the batches before their own")
    notes += [f"the interval is wider: {reason}" for reason in result.step.interval.reasons]
    notes += [f"assumed, as no figure of this GPU is known: {text}" for text in result.step.model.assumed]
    notes.append("all sequences have the same length; no time of tokenising text or of the network is included")
    return notes

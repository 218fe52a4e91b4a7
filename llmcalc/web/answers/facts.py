"""The numbers beside the verdict, each with its unit, interval and class of evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...api.state import state
from ...core.evidence import ASSUMED, CLASSES, FITTED, weakest
from ...report.numbers import BYTES, duration, human, readable, three_digits
from ...report.serving import dollars
from .case import Case

LEAST_PLAIN = 10  # US dollars, from which a price has no decimal places


def facts(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the numbers beside the verdict. ``why`` is the quantity that ``derivation`` explains."""
    yield memory_fact(case)
    yield from _times(case) if case.fit.fits else _missing(case)
    yield params_fact(case)
    step = case.step_flops
    per, of = ("text", f"of {case.context:,} tokens") if case.only_reads else ("token", "in a decode step")
    yield fact(
        "flops", f"Compute per {per}", human(step.total) or f"{step.total:,}", of, step.evidence["total"],
        after="FLOPs", value=step.total, unit="FLOPs",
    )  # fmt: skip


def memory_fact(case: Case) -> dict[str, Any]:
    """Return the memory that a GPU needs."""
    found = case.fit
    needed, _, unit = case.needed_text.partition(" ")
    return fact(
        "memory", "Needed per GPU", needed, f"of {readable(found.memory, BYTES)}, with the runtime",
        found.evidence["needed"], after=unit, value=found.needed + found.reserve, unit="bytes",
    )  # fmt: skip


def params_fact(case: Case) -> dict[str, Any]:
    """Return the number of parameters."""
    own = case.params
    exactly = f"{own.total:,}" if own.active == own.total else f"{human(own.active)} active per token"
    return fact(
        "params", "Parameters", human(own.total) or f"{own.total:,}", exactly, own.evidence["total"], value=own.total,
        unit="parameters",
    )  # fmt: skip


def _missing(case: Case) -> Iterator[dict[str, Any]]:
    yield missing_fact(case)
    yield from (cache_fact(case),) if not case.only_reads else ()


def missing_fact(case: Case) -> dict[str, Any]:
    """Return how much memory a model lacks that does not fit."""
    lack = -case.fit.headroom
    text, _, unit = readable(lack, BYTES).partition(" ")
    share = lack / case.fit.memory
    note = f"{share:.0%} of its memory" if share < 2 else f"{share + 1:.1f} times its memory is needed"
    return fact("missing", "Missing per GPU", text, note, case.fit.evidence["headroom"], after=unit, value=lack,
                unit="bytes")  # fmt: skip


def cache_fact(case: Case) -> dict[str, Any]:
    """Return the keys, values and recurrent states of a user."""
    found = state(case.model, seq=case.context, cache=case.state.kv or None)
    text, _, unit = readable(found.bytes, BYTES).partition(" ")
    note = f"with {case.context:,} tokens"
    return fact("state", "KV cache per user", text, note, found.evidence["bytes"], after=unit, value=found.bytes,
                unit="bytes")  # fmt: skip


def _times(case: Case) -> Iterator[dict[str, Any]]:
    if case.time_error:
        return
    if case.only_reads:
        yield from _reading_times(case)
    elif case.serving.fits:
        yield from _serving_times(case)
        yield _capacity(case)


def _reading_times(case: Case) -> Iterator[dict[str, Any]]:
    reading, price = case.reading, case.reading.usd_per_million
    evidence, texts = reading.evidence["requests_per_s"], reading.requests_per_s
    note = f"{three_digits(reading.tokens_per_s)} tokens/s on all GPUs"
    yield _timed("latency", "Time of a text", case.reading_span, evidence)
    yield fact("throughput", "Throughput", three_digits(texts), note, evidence, after="texts/s", value=texts,
               unit="texts/s")  # fmt: skip
    yield from (_price("Price per million tokens", price, "of the texts", evidence),) if price else ()


def _serving_times(case: Case) -> Iterator[dict[str, Any]]:
    serving = case.serving
    evidence, price = serving.evidence["tpot_s"], serving.usd_per_million
    output = serving.usd_per_million_output
    these = f"{case.running:,} users" if case.waiting else ""
    with_these = f", {these}" if these else ""
    if serving.tpot_s and serving.tpot_low_s and serving.tpot_high_s:
        rate, high, low = (1 / each for each in (serving.tpot_s, serving.tpot_low_s, serving.tpot_high_s))
        note = f"{three_digits(low)} to {three_digits(high)}{with_these}"
        yield fact("latency", "Speed per user", three_digits(rate), note, evidence, after="tokens/s", value=rate,
                   unit="tokens/s", low=low, high=high)  # fmt: skip
    firsts = (serving.ttft_s, serving.ttft_low_s, serving.ttft_high_s)
    if None not in firsts:
        yield _timed("prefill", "First token", firsts, serving.evidence["ttft_s"], with_these)
    total = serving.tokens_per_s_gpu * case.fit.result.mesh.ranks * case.replicas
    together = f"{these or 'all users'} together"
    yield fact("throughput", "Throughput", three_digits(total), together, evidence, after="tokens/s", value=total,
               unit="tokens/s")  # fmt: skip
    if price and output:
        note = f"or {dollars(output)} for output alone{with_these}"
        yield _price("Price per million tokens", price, note, evidence)


def _price(label: str, price: tuple[float, float], note: str, times: str) -> dict[str, Any]:
    """Return a price, which depends on times with a class of evidence."""
    low, high = (f"${size:,.2g}" if size < LEAST_PLAIN else f"${size:,.0f}" for size in price)
    return fact(
        "cost", label, low, note, weakest(FITTED, times), after=f"to {high}", unit="USD", low=price[0], high=price[1]
    )


def _capacity(case: Case) -> dict[str, Any]:
    label, note = f"Users {case.serving.engine_title} runs", f"at once, of {case.context:,} tokens each"
    return fact("capacity", label, f"{case.capacity:,}", note, ASSUMED, value=case.capacity, unit="requests")


def _timed(why: str, label: str, span: Any, evidence: str, more: str = "") -> dict[str, Any]:
    best, _, ends = duration(*span).partition(" (")
    text, _, unit = best.partition(" ")
    return fact(why, label, text, ends.rstrip(")") + more, evidence, after=unit, value=span[0], unit="s", low=span[1],
                high=span[2])  # fmt: skip


def fact(why: str, label: str, text: str, note: str, evidence: str, **values: Any) -> dict[str, Any]:
    """Return a number with its unit, interval and class of evidence."""
    return {
        "why": why,
        "label": label,
        "text": text,
        "note": note,
        "evidence": evidence,
        "meaning": CLASSES[evidence],
        **values,
    }

"""The numbers beside the verdict, each with its unit, interval and class of evidence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...api.state import state
from ...core.evidence import ASSUMED, CLASSES, FITTED, weakest
from ...core.printable import three_digits
from ...report.numbers import BYTES, dollars, duration, human, readable
from ...report.serve import size_span
from .case import Case, needed_span, speeds_of

LEAST_PLAIN = 10  # US dollars, from which a price has no decimal places


def facts(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the numbers beside the verdict. ``why`` is the quantity that ``derivation`` explains."""
    yield memory_fact(case)
    if case.runs:
        yield from _times(case)
    else:
        yield from () if case.fit.fits or case.fit.headroom >= 0 else (missing_fact(case),)
        yield from () if case.only_reads else (cache_fact(case),)
    yield params_fact(case)
    step = case.step_flops
    per, of = ("text", f"of {case.context:,} tokens") if case.only_reads else ("token", "in a decode step")
    yield fact(
        "flops", f"Compute per {per}", readable(step.total, ""), of, step.evidence["total"], after="FLOPs",
        value=step.total, unit="FLOPs",
    )  # fmt: skip


def memory_fact(case: Case) -> dict[str, Any]:
    """Return the memory that a GPU needs."""
    found, span = case.fit, needed_span(case.fit)
    if not found.start:
        note = f"of {readable(found.memory, BYTES)}, with the runtime"
        return size_fact("memory", "Needed per GPU", int(span.best), note, found.evidence["needed"])
    of = f"of {readable(found.usable, BYTES)} usable"
    note = ", ".join(filter(None, (size_span(span), of)))
    ends = {"low": int(span.low), "high": int(span.high)}
    return size_fact("memory", "Needed per GPU", found.needed, note, found.evidence["needed"], **ends)


def size_fact(why: str, label: str, size: int, note: str, evidence: str, **ends: int) -> dict[str, Any]:
    """Return a number of bytes, and the ends of its interval."""
    text, _, unit = readable(size, BYTES).partition(" ")
    return fact(why, label, text, note, evidence, after=unit, value=size, unit="bytes", **ends)


def params_fact(case: Case) -> dict[str, Any]:
    """Return the number of parameters."""
    own = case.params
    exactly = f"{own.total:,}" if own.active == own.total else f"{human(own.active)} active per token"
    return fact("params", "Parameters", readable(own.total, ""), exactly, own.evidence["total"], value=own.total,
                unit="parameters")  # fmt: skip


def missing_fact(case: Case) -> dict[str, Any]:
    """Return how much memory a model lacks that does not fit."""
    lack = -case.fit.headroom
    share = lack / case.fit.memory
    note = f"{share:.0%} of its memory" if share < 2 else f"{share + 1:.1f} times its memory is needed"
    if case.fit.start and (before := -case.fit.start.memory.available.best) > 0:
        note = f"{readable(int(before), BYTES)} before the KV cache"
    return size_fact("missing", "Missing per GPU", lack, note, case.fit.evidence["headroom"])


def cache_fact(case: Case) -> dict[str, Any]:
    """Return the keys, values and recurrent states of a user."""
    found = state(case.model, seq=case.context, cache=case.state.kv or None)
    note = f"with {case.context:,} tokens"
    return size_fact("state", "KV cache per user", found.bytes, note, found.evidence["bytes"])


def _times(case: Case) -> Iterator[dict[str, Any]]:
    if case.time_error:
        return
    if case.only_reads:
        yield from _reading_times(case)
    elif case.serving.fits:
        yield from _serving_times(case)
        yield _capacity(case)


def _reading_times(case: Case) -> Iterator[dict[str, Any]]:
    reading, evidence = case.reading, case.reading.evidence["requests_per_s"]
    note = f"{three_digits(reading.tokens_per_s)} tokens/s on all GPUs"
    yield _timed("latency", "Time of a text", case.reading_span, evidence)
    yield _throughput(reading.requests_per_s, note, "texts/s", evidence)
    if price := reading.usd_per_million:
        yield _price(price, "of the texts", evidence)


def _serving_times(case: Case) -> Iterator[dict[str, Any]]:
    serving, evidence = case.serving, case.serving.evidence["tpot_s"]
    these = f"{case.running:,} users" if case.waiting else ""
    with_these = f", {these}" if these else ""
    if speeds := speeds_of(serving):
        low, rate, high = speeds
        note = f"{three_digits(low)} to {three_digits(high)}{with_these}"
        yield fact("latency", "Speed per user", three_digits(rate), note, evidence, after="tokens/s", value=rate,
                   unit="tokens/s", low=low, high=high)  # fmt: skip
    if serving.ttft:
        firsts = (serving.ttft_s, serving.ttft_low_s, serving.ttft_high_s)
        yield _timed("prefill", "First token", firsts, serving.evidence["ttft_s"], with_these)
    yield _throughput(case.tokens_per_s, f"{these or 'all users'} together", "tokens/s", evidence)
    if price := serving.usd_per_million:
        yield _price(price, f"or {dollars(serving.usd_per_million_output)} for output alone{with_these}", evidence)


def _throughput(rate: float, note: str, unit: str, evidence: str) -> dict[str, Any]:
    return fact("throughput", "Throughput", three_digits(rate), note, evidence, after=unit, value=rate, unit=unit)


def _price(price: tuple[float, float], note: str, times: str) -> dict[str, Any]:
    """Return a price, which depends on times with a class of evidence."""
    low, high = (f"${size:,.2g}" if size < LEAST_PLAIN else f"${size:,.0f}" for size in price)
    return fact("cost", "Price per million tokens", low, note, weakest(FITTED, times), after=f"to {high}", unit="USD",
                low=price[0], high=price[1])  # fmt: skip


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
    named = {"why": why, "label": label, "text": text, "note": note, "evidence": evidence}
    return {**named, "meaning": CLASSES[evidence], **values}

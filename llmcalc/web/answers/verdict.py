"""The verdict of a state in one sentence, with the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...api.fit import FitResult
from ...api.fit_changes import Change
from ...core.errors import LlmcalcError
from ...core.evidence import ASSUMED, FITTED
from ...report.numbers import BYTES, duration, human, readable, three_digits
from ...report.serving import dollars
from .state import Case, said

BOUNDS = {
    "memory": "memory bandwidth", "compute": "compute", "communication": "communication between GPUs",
    "launches": "kernel launches", "between kernels": "kernel launches", "engine": "the scheduler of the engine",
}  # fmt: skip
PARTS = (  # of the memory of a GPU: name, title, and the quantity that explains it
    ("weights", "Weights"), ("state", "KV cache"), ("transient", "Buffers"), ("reserve", "Runtime"),
)  # fmt: skip
MOST_NAMED = 2  # changes in the sentence
STATE_NAMES = {"weights": "weights", "cache": "kv", "batch": "users", "seq": "context", "count": "n", "gpu": "gpu"}


def verdict(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether the model fits, the sentence that says so, and the numbers, each with its evidence.

    A ``quick`` verdict, as for a slider that moves, does not search for changes with which the model fits.
    """
    found, error = case.fit, case.time_error
    helpful = [] if asked.get("quick") else [*changes(found)]
    lead, text = sentence(case, helpful)
    return {
        "fits": found.fits,
        "lead": lead,
        "text": text,
        "title": case.title,
        "gpu": gpus_text(case),
        "longest": case.longest,
        "only_reads": case.only_reads,
        "memory": memory(case),
        "facts": [*facts(case)],
        "changes": helpful,
        "notes": [*notes(case)],
        "time_error": said(error) if error else "",
    }


def gpus_text(case: Case) -> str:
    """Return the number and title of the GPUs."""
    return f"{'one' if case.state.n == 1 else case.state.n} {'' if case.state.n == 1 else '× '}{case.gpu.title}"


def sentence(case: Case, helpful: Sequence[dict[str, Any]] = ()) -> tuple[str, str]:
    """Return the lead of the verdict, such as ``Fits``, and the sentence, with the changes that help."""
    found, gpus = case.fit, gpus_text(case)
    if not found.fits:
        needed, usable = (readable(size, BYTES) for size in (found.needed, found.usable))
        each = "each of " if case.state.n > 1 else ""
        text = f"{case.title} needs {needed} on {each}{gpus}, where {usable} are usable"
        helps = " or ".join(change["text"] for change in helpful[:MOST_NAMED])
        return "Does not fit", f"{text}; it fits {helps}." if helps else f"{text}."
    spare = f"{case.title} fits on {gpus} with {readable(found.headroom, BYTES)} to spare"
    return "Fits", f"{' '.join([spare, *_speed(case)])}."


def _speed(case: Case) -> Iterator[str]:
    if case.time_error:
        return
    users = case.state.users
    if case.only_reads:
        result = case.latency
        texts = "a text" if users == 1 else f"{users:,} texts"
        span = duration(result.seconds, result.low, result.high)
        yield f"and reads {texts} of {case.context:,} tokens in {span}"
        return
    serving = case.serving
    if not serving.all_run:
        running = f"{serving.running * case.replicas:,} of {users:,} requests"
        yield f"but {serving.engine_title} runs only {running} at once"
        return
    price = serving.usd_per_million_output
    cost = f", for {dollars(price)} per million output tokens" if price else ""
    if serving.tpot_s and serving.tpot_low_s and serving.tpot_high_s:
        low, rate, high = (three_digits(1 / each) for each in (serving.tpot_high_s, serving.tpot_s, serving.tpot_low_s))
        who, each = ("one user", "") if users == 1 else (f"{users:,} users", " each")
        yield f"and answers {who} at {rate} tokens/s{each} ({low} to {high}), limited by {bound(case)}{cost}"


def bound(case: Case) -> str:
    """Return what limits most of the time of a token."""
    shares: dict[str, float] = {}
    for _, seconds, name in case.serving.parts:
        shares[name] = shares.get(name, 0.0) + seconds
    name = max(shares, key=lambda each: shares[each])
    return BOUNDS.get(name, name)


def memory(case: Case) -> dict[str, Any]:
    """Return the parts of the memory of a GPU, in bytes, and its size."""
    found = case.fit
    sizes = {
        "weights": found.result.weights - found.result.host, "state": found.result.state,
        "transient": found.result.activations, "reserve": found.reserve,
    }  # fmt: skip
    parts = [
        {"name": name, "title": title, "bytes": sizes[name], "text": readable(sizes[name], BYTES)}
        for name, title in PARTS
    ]
    layout = {name: size for name in ("tp", "pp", "dp", "ep") if (size := getattr(found.result.mesh, name)) > 1}
    return {
        "parts": parts, "total": found.needed + found.reserve, "size": found.memory,
        "needed_text": readable(found.needed, BYTES), "usable_text": readable(found.usable, BYTES),
        "layout": ", ".join(f"{name} {size}" for name, size in layout.items()), "replicas": case.replicas,
        "free_text": readable(max(found.headroom, 0), BYTES), "gpus": found.count, "evidence": found.evidence["needed"],
    }  # fmt: skip


def facts(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the numbers beside the verdict. ``why`` is the quantity that ``derivation`` explains."""
    found = case.fit
    needed, _, unit = readable(found.needed, BYTES).partition(" ")
    yield fact(
        "memory", "Needed per GPU", needed, f"of {readable(found.usable, BYTES)} usable",
        found.evidence["needed"], after=unit, value=found.needed, unit="bytes",
    )  # fmt: skip
    yield from _times(case)
    own = case.params
    exactly = f"{own.total:,}" if own.active == own.total else f"{human(own.active)} active per token"
    yield fact(
        "params", "Parameters", human(own.total) or f"{own.total:,}", exactly, own.evidence["total"], value=own.total,
        unit="parameters",
    )  # fmt: skip
    step = case.step_flops
    if step:
        text, evidence = human(step.total) or f"{step.total:,}", step.evidence["total"]
        yield fact(
            "flops",
            "Compute per token",
            text,
            "in a decode step",
            evidence,
            after="FLOPs",
            value=step.total,
            unit="FLOPs",
        )


def _times(case: Case) -> Iterator[dict[str, Any]]:
    if case.time_error:
        return
    if case.only_reads:
        result = case.latency
        span = (result.seconds, result.low, result.high)
        yield _timed("latency", "Time of a batch", span, result.evidence["seconds"])
        return
    serving = case.serving
    if not serving.fits:
        return
    evidence, price = serving.evidence["tpot_s"], serving.usd_per_million_output
    if serving.tpot_s and serving.tpot_low_s and serving.tpot_high_s:
        rate, high, low = (1 / each for each in (serving.tpot_s, serving.tpot_low_s, serving.tpot_high_s))
        note = f"{three_digits(low)} to {three_digits(high)}"
        yield fact("latency", "Speed per user", three_digits(rate), note, evidence, after="tokens/s", value=rate,
                   unit="tokens/s", low=low, high=high)  # fmt: skip
    firsts = (serving.ttft_s, serving.ttft_low_s, serving.ttft_high_s)
    if None not in firsts:
        yield _timed("prefill", "First token", firsts, serving.evidence["ttft_s"])
    total = serving.tokens_per_s_gpu * case.fit.result.mesh.ranks * case.replicas
    yield fact("throughput", "Throughput", three_digits(total), "all users together", evidence, after="tokens/s",
               value=total, unit="tokens/s")  # fmt: skip
    if price:
        middle = (price[0] * price[1]) ** 0.5
        yield fact("cost", "Million output tokens", dollars((middle, middle)), dollars(price), FITTED, value=middle,
                   unit="USD", low=price[0], high=price[1])  # fmt: skip
    most = int(serving.time.capacity * serving.mesh.dp) * case.replicas
    yield fact("capacity", "Users that fit", f"{most:,}", f"of {case.context:,} tokens each", ASSUMED, value=most,
               unit="requests")  # fmt: skip


def _timed(why: str, label: str, span: Any, evidence: str) -> dict[str, Any]:
    best, _, ends = duration(*span).partition(" (")
    text, _, unit = best.partition(" ")
    return fact(why, label, text, ends.rstrip(")"), evidence, after=unit, value=span[0], unit="s", low=span[1],
                high=span[2])  # fmt: skip


def fact(why: str, label: str, text: str, note: str, evidence: str, **values: Any) -> dict[str, Any]:
    """Return a number with its unit, interval and class of evidence."""
    return {"why": why, "label": label, "text": text, "note": note, "evidence": evidence, **values}


def changes(found: FitResult) -> Iterator[dict[str, Any]]:
    """Yield the changes of the state with which the model fits, with their texts."""
    for change in found.changes:
        if change.settings.keys() <= STATE_NAMES.keys():
            yield {"set": {STATE_NAMES[name]: value for name, value in change.settings.items() if name != "gpu"},
                   "text": _change_text(change),
                   "headroom": readable(change.fit.headroom, BYTES)}  # fmt: skip


def _change_text(change: Change) -> str:
    """Return a change such as ``with q6_k weights and 8 users``."""
    texts = {"weights": "{} weights", "cache": "a KV cache in {}", "batch": "{:,} users", "seq": "{:,} tokens per user"}
    named = [texts[name].format(value) for name, value in change.settings.items() if name in texts]
    found = [f"with {' and '.join(named)}"] if named else []
    found += [f"on {change.settings['count']} GPUs"] if "count" in change.settings else []
    return " ".join(found)


def notes(case: Case) -> Iterator[str]:
    """Yield what the user must know beside the numbers."""
    yield from case.model.warnings
    if case.is_cut:
        yield f"the context is {case.context:,} tokens, the most that the model accepts"
    error: LlmcalcError | None = case.time_error
    if error:
        yield f"no times: {said(error)}"
    elif not case.only_reads and case.fit.fits and not case.serving.all_run:
        for change, _ in case.serving.changes[:1]:
            yield "more requests run at once with " + ", ".join(f"{name} {value}" for name, value in change.items())

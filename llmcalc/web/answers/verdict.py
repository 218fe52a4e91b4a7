"""The verdict of a state in one sentence, with the numbers that it rests on, and what it says about serving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from ...core.errors import LlmcalcError
from ...core.evidence import CLASSES
from ...core.record import changed
from ...engines.hardware import is_reachable
from ...fitting.fit import FitResult
from ...report.fit import fit_answer, memory_parts
from ...report.numbers import BYTES, duration, readable, three_digits
from ...report.serve import MISSING, memory_rows, size_span
from ...report.serving_money import price_clause
from .case import Case, case_of, said, speeds_of
from .view import view_of

BOUNDS = {
    "memory": "memory bandwidth", "compute": "compute", "communication": "communication between GPUs",
    "launches": "kernel launches", "between kernels": "kernel launches", "engine": "the scheduler of the engine",
}  # fmt: skip
PARTS = {"weights": "Weights", "state": "KV cache", "transient": "Buffers", "reserve": "Runtime"}  # of the memory
TEXTS = {
    "weights": "{} weights", "cache": "a KV cache in {}", "batch": "{:,} users", "seq": "{:,} tokens per user",
}  # fmt: skip
UNUSED = ("not used", "free")  # parts of the memory of a GPU
MOST_NAMED = 2  # changes in the sentence
MORE_GPUS = (2, 4, 8)  # factors of the number of GPUs
LLAMA_CPP, LLAMA_CACHE = "llama.cpp", "q8_0"
STATE_NAMES = {"weights": "weights", "cache": "kv", "batch": "users", "seq": "context", "count": "n", "gpu": "gpu"}


def verdict(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether the model fits, the sentence that says so, and the numbers, each with its evidence.

    A ``quick`` verdict, as for a slider that moves, does not search for changes with which the model fits.
    """
    view, error = view_of(case), case.time_error
    numbers, helpful = [*view.facts(case)], [] if asked.get("quick") else [*view.changes(case)]
    classes = {one["evidence"] for one in numbers}
    lead, text = sentence(case, helpful)
    cut = [f"the context is {case.context:,} tokens, the most that the model accepts"] if case.is_cut else []
    return {
        "fits": case.runs, "waiting": case.waiting if case.runs else 0, "lead": lead, "text": text,
        "title": case.title, "gpu": case.gpus_text, "longest": case.longest, "only_reads": case.only_reads,
        "memory": memory(case), "facts": numbers,
        "classes": {name: meaning for name, meaning in CLASSES.items() if name in classes}, "changes": helpful,
        "notes": [*case.model.warnings, *cut, *view.notes(case)], "time_error": said(error) if error else "",
    }  # fmt: skip


def sentence(case: Case, helpful: Sequence[dict[str, Any]] = ()) -> tuple[str, str]:
    """Return the lead of the verdict, such as ``Fits``, and the sentence, with the changes that help."""
    text = f"{case.subject} on {case.gpus_text} {fit_answer(case.fit).partition(' ')[2]}"
    if not case.fit.fits:
        helps = " or ".join(change["text"] for change in helpful[:MOST_NAMED])
        text += f"; it fits {helps}" if helps else ""
    if not case.runs:
        return "Does not fit", f"{text}."
    waits = f", but {case.waiting:,} of {case.state.users:,} users wait" if case.waiting else ""
    return f"Fits{waits}", f"{''.join([text, *view_of(case).outcome(case)])}."


def memory(case: Case) -> dict[str, Any]:
    """Return the parts of the memory of a GPU, in bytes, and its size."""
    found, start = case.fit, case.fit.start
    if start:
        rows = [(name, int(size.best), size_span(size)) for name, size, _ in memory_rows(start) if name != MISSING]
        free = sum(size for name, size, _ in rows if name in UNUSED)
        shown = [(name, name[0].upper() + name[1:], size, span) for name, size, span in rows if name not in UNUSED]
        total = sum(size for _, _, size, _ in shown)
    else:
        sizes, free, total = memory_parts(found), max(found.headroom, 0), found.needed + found.reserve
        shown = [(name, title, sizes.get(name, 0), "") for name, title in view_of(case).parts.items()]
    return {
        "parts": [
            {"name": name, "title": title, "bytes": size, "text": readable(size, BYTES), "span": span}
            for name, title, size, span in shown
        ],
        "total": total, "size": found.memory, "needed_text": readable(total, BYTES),
        "size_text": readable(found.memory, BYTES), "layout": case.layout_text, "replicas": case.replicas,
        "free_text": readable(free, BYTES), "gpus": found.count, "evidence": found.evidence["needed"],
    }  # fmt: skip


def change_data(lead: str, own: Mapping[str, Any], text: str, found: FitResult) -> dict[str, Any]:
    """Return a change of the state: the fields that it sets, what it leads to, and the memory that it leaves."""
    return {"set": own, "lead": lead, "text": text, "headroom": readable(found.headroom, BYTES)}


def change_text(texts: Mapping[str, str], settings: Mapping[str, Any], *first: str) -> str:
    """Return a change such as ``with q6_k weights and 8 users``, from the texts of settings."""
    named = [*first, *(texts[name].format(value) for name, value in settings.items() if name in texts)]
    found = [f"with {' and '.join(named)}"] if named else []
    found += [f"on {settings['count']} GPUs"] if "count" in settings else []
    return " ".join(found)


# --------------------------------------------------------------------- serving


def outcome(case: Case) -> Iterator[str]:
    """Yield the end of the sentence: how fast requests are answered, if that is known."""
    if case.time_error:
        return
    users = case.state.users
    if case.only_reads:
        texts = "a text" if users == 1 else f"{users:,} texts"
        cost = price_clause(case.reading.usd_per_million, "for ")
        yield f" and reads {texts} of {case.context:,} tokens in {duration(*case.reading_span)}{cost}"
        return
    serving = case.serving
    if not serving.all_run:
        yield f" but {serving.engine_title} runs only {case.running:,} of {users:,} requests at once"
        return
    if speeds := speeds_of(serving):
        low, rate, high = map(three_digits, speeds)
        who, each = ("one user", "") if users == 1 else (f"{users:,} users", " each")
        cost = price_clause(serving.usd_per_million, "for ")
        yield f" and answers {who} at {rate} tokens/s{each} ({low} to {high}), limited by {bound(case)}{cost}"


def bound(case: Case) -> str:
    """Return what limits most of the time of a token."""
    shares: dict[str, float] = {}
    for _, seconds, name in case.serving.parts:
        shares[name] = shares.get(name, 0.0) + seconds
    name = max(shares, key=lambda each: shares[each])
    return BOUNDS.get(name, name)


def changes(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the changes of the state with which the model fits, or with which no users wait, with their texts."""
    if case.fit.fits:
        yield from _without_waiting(case) if case.waiting else ()
        return
    for change in case.fit.changes:
        if not change.settings.keys() <= STATE_NAMES.keys():
            continue
        settings = dict(change.settings)
        own = {STATE_NAMES[name]: value for name, value in settings.items() if name != "gpu"}
        found = case_of(changed(case.state, **own))
        if found.waiting:
            if not found.running:
                continue  # the engine does not start
            own["users"] = settings["batch"] = found.running
        yield change_data("Fits", own, change_text(TEXTS, settings), found.fit)


def _without_waiting(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the changes with which the engine runs all requests at once: of the cache, the GPUs and the users."""
    cache = LLAMA_CACHE if case.engine_name == LLAMA_CPP else "fp8"
    groups: list[list[dict[str, Any]]] = [
        [] if case.state.kv else [{"cache": cache}],
        [{"count": count} for factor in MORE_GPUS if is_reachable(case.gpu, count := case.state.n * factor)],
        [{"batch": case.running}] if case.running else [],
    ]
    for group in groups:
        yield from islice(filter(None, (_running_change(case, settings) for settings in group)), 1)


def _running_change(case: Case, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Return a change if the engine runs all requests at once with it."""
    own = {STATE_NAMES[name]: value for name, value in settings.items()}
    with suppress(LlmcalcError):
        found = case_of(changed(case.state, **own))
        if found.fit.fits and not found.time_error and not found.waiting:
            return change_data("All run", own, change_text(TEXTS, settings), found.fit)
    return None


def notes(case: Case) -> Iterator[str]:
    """Yield what the user must know beside the numbers of serving."""
    if case.is_answer_cut:
        yield f"the output is cut to {case.answer:,} tokens, because the context includes it"
    if case.time_error:
        yield f"no times: {said(case.time_error)}"

"""The verdict of a state in one sentence, with the numbers that it rests on, and what it says about serving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.evidence import CLASSES
from ...core.printable import three_digits
from ...fitting.advice import Change
from ...fitting.fit import FitResult
from ...report.fit import memory_parts
from ...report.fit_answer import fit_answer
from ...report.numbers import BYTES, duration, readable
from ...report.serve import MISSING, memory_rows, size_span, sizes_of
from ...report.serving_money import price_clause
from ...serving.start.usual_layout import layout_text
from .case import Case, said, speeds_of
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
    text = f"{case.subject} on {case.place} {fit_answer(case.fit).partition(' ')[2]}"
    if case.fit.fits:
        return "Fits", f"{''.join([text, *view_of(case).outcome(case)])}."
    helps = " or ".join(change["text"] for change in helpful[:MOST_NAMED])
    some = f"Runs {case.state.users - case.waiting:,} of {case.state.users:,} users at once"
    return some if case.runs else "Does not fit", f"{text}; it fits {helps}." if helps else f"{text}."


def memory(case: Case) -> dict[str, Any]:
    """Return the parts of the memory of a GPU, in bytes, and its size."""
    found, start = case.fit, case.fit.start
    if start:
        rows = [(name, int(size.best), size_span(size)) for name, size, _ in memory_rows(start)]
        cache = "states" if start.is_recurrent else "KV cache"  # which has no room where memory is missing
        rows = [(cache, memory_parts(found)["state"], "") if row[0] == MISSING else row for row in rows]
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
        yield f", and reads {texts} of {case.context:,} tokens in {duration(*case.reading_span)}{cost}"
        return
    serving = case.serving
    if serving.all_run and (speeds := speeds_of(serving)):
        low, rate, high = map(three_digits, speeds)
        who, each = ("one user", "") if users == 1 else (f"{users:,} users", " each")
        cost = price_clause(serving.usd_per_million, "for ")
        yield f", and answers {who} at {rate} tokens/s{each} ({low} to {high}), limited by {bound(case)}{cost}"


def bound(case: Case) -> str:
    """Return what limits most of the time of a token."""
    shares: dict[str, float] = {}
    for _, seconds, name in case.serving.parts:
        shares[name] = shares.get(name, 0.0) + seconds
    name = max(shares, key=lambda each: shares[each])
    return BOUNDS.get(name, name)


def changes(case: Case) -> Iterator[dict[str, Any]]:
    """Yield the changes of the command with which the model fits, or with which no users wait, with their texts."""
    for change in case.fit.changes:
        if change.settings.keys() <= STATE_NAMES.keys():
            own = {STATE_NAMES[name]: value for name, value in change.settings.items() if name != "gpu"}
            lead = "All run" if case.runs else "Fits"
            text = change_text(TEXTS, change.settings) + _new_layout(case.fit, change)
            yield change_data(lead, own, text, change.result)


def _new_layout(found: FitResult, change: Change) -> str:
    """Return the layout with a change on the same GPUs if it is another one, such as `` (pp 4)``."""
    then = change.result.start if found.start else None
    if not found.start or not then or "count" in change.settings or sizes_of(found.start) == sizes_of(then):
        return ""
    return f" ({layout_text(sizes_of(then))})"


def notes(case: Case) -> Iterator[str]:
    """Yield what the user must know beside the numbers of serving."""
    if case.is_answer_cut:
        yield f"the output is cut to {case.answer:,} tokens, because the context includes it"
    if case.time_error:
        yield f"no times: {said(case.time_error)}"

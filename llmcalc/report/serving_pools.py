"""Report for requests on a pool of GPUs that computes prefills and a pool that decodes."""

from __future__ import annotations

from typing import Any

from ..search.pools import ServingPools
from ..search.serving_search import Layout
from .document import Document, Fact, Table, columns
from .heading import model_document, named_values
from .numbers import dollars, duration, percent, three_digits
from .pictures import Bars
from .serving import time_bars, time_fact
from .serving_money import break_even, money_notes, money_table, price_notes
from .serving_search import (
    answer_notes,
    commands_table,
    drafting_facts,
    layout_text,
    request_notes,
    requests_inputs,
)

ASSUMED = (
    "prompts wait as in a queue with random arrivals (M/G/c)",
    "keys and values are sent after the prefill, at the bandwidth that collectives reach",
    "decode steps contain no prefill; intervals are wider, as few measurements of two pools are public",
)


def pools_document(result: ServingPools) -> Document:
    """Build the report of two pools. The title is the answer."""
    one = result.layout
    settings = {**result.requests.given, "concurrency": f"{result.concurrency:g}"}
    layout = {"prefill": "", "decode": ""}
    if one and one.prefill:
        layout = dict(zip(layout, layout_text(one).split(" → "), strict=True))
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        f" in {result.engine_title} on {result.gpus} × {result.accelerator.title}",
        answer=_answer(result),
        lines=(named_values({**settings, **{name: own for name, own in layout.items() if own}}),),
        facts=_facts(result, one) if one else (),
        tables=(*_tables(one), money_table(one.money(result.terms, result.isl, result.osl))) if one else (),
        pictures=lambda: _bars(one) if one else (),
        notes=_notes(result, one) if one else (),
    )


def _notes(result: ServingPools, one: Layout) -> tuple[str, ...]:
    costs = money_notes(one.money(result.terms, result.isl, result.osl))
    return (*request_notes(result), *answer_notes(result.requests), *ASSUMED, *price_notes(result.price), *costs)


def _answer(result: ServingPools) -> str:
    if result.is_too_long:
        return f"✗ {result.too_long}"
    one = result.layout
    if one is None:
        other = f". They run on {layout_text(result.suggested)}" if result.suggested else ""
        if result.limit == "memory" or not result.most:
            why = (
                "the prefills take longer than the decode steps"
                if result.limit == "prefills"
                else "a request does not fit"
            )
            return f"✗ No request runs: {why}{other}"
        number = f"{result.concurrency:,.10g}"
        return f"✗ {number} requests do not run at once: {result.limit} limit them to {result.most:,}{other}"
    user, gpu = three_digits(one.tokens_per_s_user), three_digits(one.tokens_per_s_gpu)
    best, _, span = duration(one.tpot_s, float(one.tpot.low), float(one.tpot.high)).partition(" (")
    return f"✓ {best} per output token ({span}, {user} tokens/s per user, {gpu} tokens/s per GPU"


def _facts(result: ServingPools, one: Layout) -> tuple[Fact, ...]:
    pool, gain = one.prefill, break_even(one.money(result.terms, result.isl, result.osl))
    price = one.usd_per_million_output(result.price)
    assert pool is not None
    return (
        time_fact("per output token", one.tpot_s, float(one.tpot.low), float(one.tpot.high)),
        time_fact("first token", one.ttft_s, float(one.ttft.low), float(one.ttft.high)),
        Fact(
            "running requests", f"{one.concurrency:,.10g}", f"of at most {result.most:,}, limited by the {result.limit}"
        ),
        Fact("requests", three_digits(one.requests_per_s), "per second"),
        Fact("output tokens", three_digits(one.tokens_per_s_gpu), "per second and GPU"),
        Fact("pool of prefills", percent(pool.busy), "busy"),
        *drafting_facts(result.drafting),
        *([gain] if gain else []),
        *([Fact("price per million output", dollars(price), "all cost charged to output")] if price else []),
    )


def _parts(one: Layout) -> list[tuple[str, float]]:
    """Return the parts of the time to the first token."""
    pool = one.prefill
    assert pool is not None
    own = one.ttft_s - pool.wait_s - pool.transfer_s
    return [("wait for prefills", pool.wait_s), ("prefill", own), ("transfer of keys and values", pool.transfer_s)]


def _tables(one: Layout) -> tuple[Table, ...]:
    rows = [(name, duration(seconds), seconds / one.ttft_s) for name, seconds in _parts(one)]
    heads = columns("part: name", "time: text", "share: share")
    return (
        Table("time to the first token", heads, rows, ("total", duration(one.ttft_s), 1.0)),
        commands_table(one),
    )


def _bars(one: Layout) -> tuple[Bars, ...]:
    return time_bars(((*part, "") for part in _parts(one)), "milliseconds to the first token")


def _json(result: ServingPools) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    inputs = {"gpu": result.accelerator.name, **requests_inputs(result)}
    inputs |= {name: own.pop(name) for name in ("gpus", "concurrency")}
    times = {name: own.pop(name) for name in ("layout", "most", "limit")}
    notes = _notes(result, result.layout) if result.layout else ()
    return inputs, {**own, "times": times, "notes": [*notes, *result.architecture.notes]}

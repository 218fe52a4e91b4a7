"""Report for requests on a pool of GPUs that computes prefills and a pool that decodes."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from ..core.printable import three_digits
from ..search.pools import ServingPools
from ..serving.point import Point
from .document import Document, Fact, Table, summary_table, table_of
from .numbers import duration, percent
from .points import (
    answer_notes,
    commands_table,
    drafting_facts,
    layout_text,
    point_data,
    point_document,
    point_facts,
    request_notes,
    requests_given,
    time_fact,
    tpot_text,
)
from .serving import time_bars
from .serving_money import break_even, money_notes, money_table, price_notes

ASSUMED = (
    "prompts wait as in a queue with random arrivals (M/G/c)",
    "keys and values are sent after the prefill, at the bandwidth that collectives reach",
    "decode steps contain no prefill; intervals are wider, as few measurements of two pools are public",
)


def pools_document(result: ServingPools) -> Document:
    """Build the report of two pools. The title is the answer."""
    one = result.layout
    settings = {**result.requests.given, "concurrency": f"{result.concurrency:g}"}
    notes: tuple[str, ...] = ()
    found: dict[str, Any] = {}
    if one and one.prefill:
        own, parts = one.money, _parts(one)
        settings |= dict(zip(("prefill", "decode"), layout_text(one).split(" → "), strict=True))
        notes = (
            *request_notes(result), *answer_notes(result.requests), *ASSUMED, *price_notes(result.price),
            *money_notes(own),
        )  # fmt: skip
        found = {
            "summary": summary_table((
                *point_facts(result, one, {"requests at once": f"of {result.most:,}, limited by the {result.limit}"}),
                Fact("pool of prefills", percent(one.times.busy), "busy"),
                *drafting_facts(result.drafting), *break_even(own),
            )),
            "tables": (_first_token(one, parts), money_table(own)),
            "next": commands_table(one),
            "pictures": lambda: time_bars(((*part, "") for part in parts), "milliseconds to the first token"),
        }  # fmt: skip
    return point_document(
        result,
        lambda: point_data(result, notes, ["gpus", "concurrency"], requests_given(result), ("layout", "most", "limit")),
        _answer(result),
        settings,
        gpus=result.gpus,
        notes=notes,
        **found,
    )


def _answer(result: ServingPools) -> str:
    if result.too_long:
        return f"✗ {result.too_long}"
    one = result.layout
    if one is not None:
        user, gpu = three_digits(one.tokens_per_s_user), three_digits(one.tokens_per_s_gpu)
        time = time_fact("", tpot_text(one))
        return f"✓ {time.value} per output token, {user} tokens/s per user, {gpu} tokens/s per GPU"
    other = f". They run on {layout_text(result.suggested)}" if result.suggested else ""
    if result.limit == "memory" or not result.most:
        is_slow = result.limit == "prefills"
        why = "the prefills take longer than the decode steps" if is_slow else "a request does not fit"
        return f"✗ No request runs: {why}{other}"
    limit = f"{result.limit} limit them to {result.most:,}"
    return f"✗ {result.concurrency:,.10g} requests do not run at once: {limit}{other}"


def _parts(one: Point) -> list[tuple[str, float]]:
    """Return the parts of the time to the first token."""
    wait, transfer = one.times.wait_s, one.times.transfer_s
    own = one.ttft_s - wait - transfer
    return [("wait for prefills", wait), ("prefill", own), ("transfer of keys and values", transfer)]


def _first_token(one: Point, parts: list[tuple[str, float]]) -> Table:
    return table_of("time to the first token", parts, {
        "part: name": itemgetter(0), "time: text": lambda part: duration(part[1]),
        "share: share": lambda part: part[1] / one.ttft_s,
    }, ("total", duration(one.ttft_s), 1.0))  # fmt: skip

"""Report for ``serve`` with the layouts that meet limits on the times of requests."""

from __future__ import annotations

from ..search.serving_search import ServingSearch
from ..serving.point import Point
from .document import Document, Fact, Table, table_of
from .numbers import duration
from .pictures import Bar, Bars
from .points import (
    LAYOUT,
    POINT_CELLS,
    PRICE,
    REQUESTS,
    TPOT,
    TTFT,
    changes_table,
    commands_table,
    drafting_facts,
    layout_text,
    no_layout,
    point_data,
    point_document,
    pool_notes,
    request_notes,
    requests_given,
    requests_text,
    settings_text,
    speed_text,
    times_text,
    tpot_text,
    ttft_text,
)
from .serving_money import break_even, money_notes, money_table, price_clause, price_notes

NO_MARGIN = "meets the limits on average, not at the high end of the interval"
TIMES = ("limits", "is_found", "has_margin", "layouts", "changes")
ORDER = "layouts are ordered by the low end of tokens/s per GPU, whose interval is wider for what was not measured"


def search_document(result: ServingSearch) -> Document:
    """Build the report of a search for layouts. The title is the answer."""
    own = result.layouts[0].money if result.is_found else None
    first = (money_table(own), commands_table(result.layouts[0])) if own else ()
    price = price_notes(result.price)
    if own:
        margin = "" if result.has_margin else f"; the layout {NO_MARGIN}"
        fastest = max(one.tokens_per_s_gpu for one in result.layouts)
        order = [] if result.layouts[0].tokens_per_s_gpu >= fastest else [ORDER]
        notes = (
            *order, *pool_notes(result.layouts, result.requests), *request_notes(result), *price, *money_notes(own),
            f"intervals contain 80 % of measured times{margin}",
        )  # fmt: skip
    else:
        more = "" if result.is_fixed else ", up to 8 times the GPUs, and faster GPUs"
        tried = f"no change that was tried meets the limits: formats with fewer bits{more}"
        notes = (*([] if result.too_long or result.changes else [tried]), *request_notes(result), *price)
    return point_document(
        result,
        lambda: point_data(result, notes, ["gpus"], requests_given(result), TIMES),
        _answer(result),
        result.requests.given,
        gpus=result.gpus,
        facts=(*drafting_facts(result.drafting), *_margin(result), *_formats(result), *break_even(own)),
        tables=(_changes(result), _layouts(result), *first),
        main=1 if result.changes else 0,
        pictures=lambda: _bars(result),
        notes=notes,
    )


def _bars(result: ServingSearch) -> tuple[Bars, ...]:
    """Return a bar chart of the layouts."""
    title = "tokens/s per GPU"
    bars = tuple(Bar(layout_text(one), ((title, one.tokens_per_s_gpu),)) for one in result.layouts)
    return (Bars(f"{title}: {_answer(result)}", "count", bars),) if bars else ()


def _answer(result: ServingSearch) -> str:
    where = f"{result.gpus} × {result.accelerator.title}"
    if result.too_long:
        return f"✗ {result.too_long}"
    if not result.layouts and result.concurrency:
        larger = next((change for change, _ in result.changes if "concurrency" not in change), None)
        other = f". They do with {settings_text(larger)}" if larger else ""
        return f"✗ {result.concurrency:,.10g} requests do not run at once on {where}{other}"
    if not result.layouts:
        return f"✗ The model does not fit on {where}"
    best = result.layouts[0]
    if not result.is_found:
        return no_layout(best, result.limits, is_fixed=result.is_fixed)
    cost = price_clause(best.usd_per_million_output, tokens="output tokens")
    numbers = f"{speed_text(best)}: {times_text(best, result.limits)}{cost}"
    margin = "" if result.has_margin else f"; {NO_MARGIN}"
    number = f"{best.concurrency:,.0f} requests"
    if result.is_fixed:
        most = "" if result.concurrency else "at most "
        return f"✓ {most}{number} within the limits on {layout_text(best)}, {numbers}{margin}"
    return f"✓ {layout_text(best)} with {number}, {numbers}{margin}"


def _layouts(result: ServingSearch) -> Table:
    def speed(one: Point) -> str:
        low, high = one.tokens_per_s_gpu_range
        return f"{one.tokens_per_s_gpu:,.0f} ({low:,.0f} to {high:,.0f})"

    return table_of("layouts", result.layouts, {
        LAYOUT: layout_text, REQUESTS: POINT_CELLS[REQUESTS], "tokens/s per GPU: text": speed, TPOT: tpot_text,
        TTFT: ttft_text,
        **({"whole request: text": lambda one: duration(one.e2e.best)} if "e2e" in result.limits else {}),
        "per user: number 1": lambda one: round(one.tokens_per_s_user),
        "per million output: text": POINT_CELLS[PRICE],
    })  # fmt: skip


def _margin(result: ServingSearch) -> tuple[Fact, ...]:
    """Return the layout that meets the limits at the high end of the interval, if the first one does not."""
    one = result.with_margin
    if result.has_margin or one is None:
        return ()
    layout = f"{layout_text(one)} with {requests_text(one)}"
    return (Fact("within the interval", layout, f"{speed_text(one)}: {times_text(one)}"),)


def _formats(result: ServingSearch) -> tuple[Fact, ...]:
    """Return the formats with more tokens per second, if there are any."""
    if result.faster_formats is None:
        return ()
    change, found = result.faster_formats
    best = found.layouts[0]
    speed = f"{speed_text(best)} on {layout_text(best)}, with other outputs of the model"
    return (Fact("faster formats", settings_text(change), speed),)


def _changes(result: ServingSearch) -> Table:
    """Return a table of changed settings that meet the limits."""
    found = [(change, one.layouts[0]) for change, one in result.changes]
    return changes_table("meets the limits with", found, POINT_CELLS)

"""Report for ``serve`` with the layouts that meet limits on the times of requests."""

from __future__ import annotations

from ..core.printable import plural, three_digits
from ..fitting.advice import MOST
from ..search.serving_search import ServingSearch
from ..serving.point import SERVE, Point
from .document import Document, Fact, Table, next_table, summary_table, table_of
from .numbers import duration
from .pictures import Bar, Bars
from .points import (
    LAYOUT,
    POINT_CELLS,
    PRICE,
    REQUESTS,
    TPOT,
    TTFT,
    assumed_of,
    commands_table,
    drafting_facts,
    layout_text,
    no_layout,
    no_start,
    point_data,
    point_document,
    point_facts,
    pool_notes,
    request_notes,
    requests_given,
    requests_text,
    settings_text,
    speed_text,
    time_fact,
    times_text,
    tpot_text,
    ttft_text,
)
from .serving_money import break_even, money_notes, money_table, price_notes, price_text

NO_MARGIN = "meets the limits on average, not at the high end of the interval"
TIMES = ("limits", "is_found", "has_margin", "layouts", "changes")
ORDER = "layouts are ordered by the low end of tokens/s per GPU, whose interval is wider for what was not measured"


def search_document(result: ServingSearch) -> Document:
    """Build the report of a search for layouts. The title is the answer."""
    best = next(iter(result.layouts), None)
    notes, details = _notes(result), _details(result)
    facts = _facts(result, best) if best else []
    first = (money_table(best.money), commands_table(best)) if best and result.is_found else ()
    return point_document(
        result,
        lambda: point_data(result, (*notes, *details), ["gpus"], requests_given(result), TIMES),
        _answer(result),
        result.requests.given,
        gpus=result.gpus,
        assumed=assumed_of(result, {}),
        summary=summary_table(facts),
        facts=(*_margin(result), *break_even(best.money if best and result.is_found else None)),
        tables=(_layouts(result), *first),
        next=_next(result),
        pictures=lambda: _bars(result),
        notes=(*([] if result.has_margin or not result.is_found else [f"the layout {NO_MARGIN}"]), *notes),
        details=details,
    )


def _notes(result: ServingSearch) -> tuple[str, ...]:
    """Return the notes that can change the decision."""
    requests = request_notes(result)
    if not result.is_found:
        more = "" if result.is_fixed else ", up to 8 times the GPUs, and faster GPUs"
        tried = f"no change that was tried meets the limits: formats with fewer bits{more}"
        return (*([] if result.too_long or result.changes else [tried]), *requests)
    fastest = max(one.tokens_per_s_gpu for one in result.layouts)
    order = [] if result.layouts[0].tokens_per_s_gpu >= fastest else [ORDER]
    return (*order, *pool_notes(result.layouts, result.requests), *requests)


def _details(result: ServingSearch) -> tuple[str, ...]:
    """Return what prices and times rest on."""
    if not result.is_found:
        return price_notes(result.price)
    margin = "" if result.has_margin else f"; the layout {NO_MARGIN}"
    intervals = f"intervals contain 80 % of measured times{margin}"
    return (*price_notes(result.price), *money_notes(result.layouts[0].money), intervals)


def _facts(result: ServingSearch, best: Point) -> list[Fact]:
    """Return the values of the first layout, with the limits on its times."""
    limits = {name: f"limit {duration(limit)}" for name, limit in result.limits.items()}
    names = {"per output token": "tpot", "time to first token": "ttft"}
    notes = {title: limits.get(name, "") for title, name in names.items()}
    facts = point_facts(result, best, {**notes, "requests at once": f"on {layout_text(best)}"})
    if "e2e" in limits:
        whole = duration(best.e2e.best, best.e2e.low, best.e2e.high)
        facts.insert(2, time_fact("whole request", whole, limits["e2e"]))
    return [*facts, *drafting_facts(result.drafting)]


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
        return f"✗ {result.concurrency:,.10g} requests do not run at once on {where}"
    if not result.layouts:
        return no_start(result.space)
    best = result.layouts[0]
    if not result.is_found:
        return no_layout(best, result.limits, is_fixed=result.is_fixed)
    most = "at most " if result.is_fixed and not result.concurrency else ""
    cost = price_text(result, best)
    return f"✓ {layout_text(best)}: {most}{plural(round(best.concurrency), 'request')}, {speed_text(best)}{cost}"


def _layouts(result: ServingSearch) -> Table:
    def speed(one: Point) -> str:
        low, high = one.tokens_per_s_gpu_range
        return f"{three_digits(one.tokens_per_s_gpu)} ({three_digits(low)} to {three_digits(high)})"

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


def _next(result: ServingSearch) -> Table:
    """Return what starts the first layout, the formats with more tokens per second, or changes that meet the limits."""
    found = [(settings_text(change), one.layouts[0]) for change, one in result.changes]
    if result.is_found:
        best = result.layouts[0]
        found = [(line, best) for role, line in best.commands.items() if role == SERVE]
        if result.faster_formats:
            change, faster = result.faster_formats
            found.append((settings_text(change), faster.layouts[0]))
    speed = {"tokens/s per GPU: number": lambda one: three_digits(one.tokens_per_s_gpu)}
    return next_table(found[:MOST], {REQUESTS: POINT_CELLS[REQUESTS], TPOT: POINT_CELLS[TPOT], **speed})

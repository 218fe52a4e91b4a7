"""Report for ``serve`` with the layouts that meet limits on the times of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import spelled
from ..search.serving_search import Layout, PrefillPool, ServingSearch
from ..serving.requests import Requests
from ..serving.speculation import Drafting
from .document import Document, Fact, Table, columns
from .heading import model_document, named_values
from .numbers import dollars, duration
from .pictures import Bar, Bars
from .serving import settings_text
from .serving_money import break_even, money_notes, money_table, price_notes

if TYPE_CHECKING:
    from ..search.front import ServingFront
    from ..search.pools import ServingPools

NO_MARGIN = "meets the limits on average, not at the high end of the interval"


def search_document(result: ServingSearch) -> Document:
    """Build the report of a search for layouts. The title is the answer."""
    limits = {name: f"< {duration(limit)}" for name, limit in result.limits.items()}
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        f" in {result.engine_title} on {result.gpus} × {result.accelerator.title}",
        answer=_answer(result),
        lines=(named_values({**result.requests.given, **limits}),),
        facts=(*drafting_facts(result.drafting), *_margin(result), *_formats(result), *_break_even(result)),
        tables=(_changes(result), _layouts(result), *_first(result)),
        main=1 if result.changes else 0,
        pictures=lambda: _bars(result),
        notes=_notes(result),
    )


def _bars(result: ServingSearch) -> tuple[Bars, ...]:
    """Return a bar chart of the layouts."""
    title = "tokens/s per GPU"
    bars = tuple(Bar(layout_text(one), ((title, one.tokens_per_s_gpu),)) for one in result.layouts)
    return (Bars(f"{title}: {_answer(result)}", "count", bars),) if bars else ()


def layout_text(one: Layout) -> str:
    """Format a layout, such as ``4 × tp 2`` or ``2 × tp 2 → tp 4`` if the first GPUs compute prefills."""
    return " → ".join(_replicas(own) for own in (one.prefill, one) if own)


def _replicas(one: Layout | PrefillPool) -> str:
    own = " ".join(f"{name} {size}" for name, size in one.settings.items()) or "1 GPU"
    return f"{one.replicas} × {own}" if one.replicas > 1 else own


def requests_inputs(result: ServingSearch | ServingFront | ServingPools) -> dict[str, Any]:
    """Return the lengths of the requests as they were given, with their means."""
    return {**result.requests.given, "isl": result.isl, "osl": result.osl}


def drafting_facts(drafting: Drafting | None) -> tuple[Fact, ...]:
    """Return the mean number of tokens per step of speculative decoding, if there is any."""
    if drafting is None:
        return ()
    own = drafting.accepted_range
    text = f"assumed: {own[0]:.3g} to {own[1]:.3g} are published" if own else f"of at most {drafting.drafted + 1}"
    return (Fact("tokens per step", f"{drafting.accepted:.3g}", f"{drafting.title}; {text}"),)


def request_notes(result: ServingSearch | ServingFront | ServingPools) -> tuple[str, ...]:
    """Return the assumptions about the requests and their drafted tokens."""
    source = result.drafting.source if result.drafting else ""
    return (*map(spelled, result.notes), *([f"tokens per step: {source}"] if source else []))


def pool_notes(layouts: Sequence[Layout], requests: Requests) -> tuple[str, ...]:
    """Return notes that explain two pools, if there are any."""
    if not any(one.prefill for one in layouts):
        return ()
    return "A → B: A computes prefills and sends keys and values to B, which decodes", *answer_notes(requests)


def answer_notes(requests: Requests) -> tuple[str, ...]:
    """Return what a pool of prefills does with the answers of a conversation."""
    is_conversation = not requests.is_shared and any(one.cached for one in requests.classes)
    return ("the pool of prefills computes the last answer again with each turn",) if is_conversation else ()


def _answer(result: ServingSearch) -> str:
    if result.is_too_long:
        return f"✗ {result.too_long}"
    if not result.layouts and result.concurrency:
        number, where = f"{result.concurrency:,.10g}", f"{result.gpus} × {result.accelerator.title}"
        larger = next((change for change, _ in result.changes if "concurrency" not in change), None)
        return f"✗ {number} requests do not run at once on {where}" + (
            f". They do with {settings_text(larger)}" if larger else ""
        )
    if not result.layouts:
        return f"✗ The model does not fit on {result.gpus} × {result.accelerator.title}"
    best = result.layouts[0]
    if not result.is_found:
        return no_layout(best, result.limits, is_fixed=result.is_fixed)
    number, speed = f"{best.concurrency:,.0f}", f"{best.tokens_per_s_gpu:,.0f} tokens/s per GPU"
    margin = "" if result.has_margin else f"; {NO_MARGIN}"
    price = best.usd_per_million_output(result.price)
    cost = f", {dollars(price)} per million output tokens" if price else ""
    times = _times(best, result.limits)
    if result.is_fixed:
        most = "" if result.concurrency else "at most "
        return f"✓ {most}{number} requests within the limits on {layout_text(best)}, {speed}: {times}{cost}{margin}"
    return f"✓ {layout_text(best)} with {number} requests, {speed}: {times}{cost}{margin}"


def no_layout(best: Layout, limits: Mapping[str, float], *, is_fixed: bool = False) -> str:
    """Return the answer if no layout meets the limits, with the one that comes closest."""
    number = f"{best.concurrency:,.0f} request{'s' * (round(best.concurrency) != 1)}"
    if is_fixed:
        return f"✗ {layout_text(best)} does not meet the limits with {number}: {_times(best, limits)}"
    return f"✗ No layout meets the limits. The closest is {layout_text(best)} with {number}: {_times(best, limits)}"


def _times(one: Layout, limits: Mapping[str, float] = {}) -> str:
    whole = f", {duration(one.e2e_s)} per request" if "e2e" in limits else ""
    return f"{duration(one.tpot_s)} per output token, {duration(one.ttft_s)} to the first token{whole}"


def _layouts(result: ServingSearch) -> Table:
    rows, is_whole = [], "e2e" in result.limits
    for one in result.layouts:
        price = one.usd_per_million_output(result.price)
        rows.append(
            (layout_text(one), round(one.concurrency), _speed(one), duration(one.tpot_s, one.tpot.low, one.tpot.high),
             duration(one.ttft_s, one.ttft.low, one.ttft.high),
             *([duration(one.e2e_s)] if is_whole else []),
             round(1 / one.tpot_s), dollars(price) if price else "")
        )  # fmt: skip
    heads = columns(
        "layout: name", "requests: number", "tokens/s per GPU: text", "per output token: text", "first token: text",
        *(["whole request: text"] if is_whole else []), "per user: number 1", "per million output: text",
    )  # fmt: skip
    return Table("layouts", heads, rows)


def _speed(one: Layout) -> str:
    low, high = one.tokens_per_s_gpu_range
    return f"{one.tokens_per_s_gpu:,.0f} ({low:,.0f} to {high:,.0f})"


def _order(layouts: Sequence[Layout]) -> list[str]:
    """Return how layouts are ordered, if the first one is not the one with the most tokens per second."""
    if not layouts or layouts[0].tokens_per_s_gpu >= max(one.tokens_per_s_gpu for one in layouts):
        return []
    return ["layouts are ordered by the low end of tokens/s per GPU, whose interval is wider for what was not measured"]


def _margin(result: ServingSearch) -> tuple[Fact, ...]:
    """Return the layout that meets the limits at the high end of the interval, if the first one does not."""
    one = result.with_margin
    if result.has_margin or one is None:
        return ()
    number = f"{one.concurrency:,.0f} request{'s' * (round(one.concurrency) != 1)}"
    speed = f"{one.tokens_per_s_gpu:,.0f} tokens/s per GPU: {_times(one)}"
    return (Fact("within the interval", f"{layout_text(one)} with {number}", speed),)


def _formats(result: ServingSearch) -> tuple[Fact, ...]:
    """Return the formats with more tokens per second, if there are any."""
    if result.faster_formats is None:
        return ()
    change, found = result.faster_formats
    best = found.layouts[0]
    speed = f"{best.tokens_per_s_gpu:,.0f} tokens/s per GPU on {layout_text(best)}, with other outputs of the model"
    return (Fact("faster formats", settings_text(change), speed),)


def _break_even(result: ServingSearch) -> tuple[Fact, ...]:
    """Return from which load the first layout is cheaper than the API, if one is given."""
    found = break_even(result.layouts[0].money(result.terms, result.isl, result.osl)) if result.is_found else None
    return (found,) if found else ()


def _first(result: ServingSearch) -> tuple[Table, ...]:
    """Return tables of the price and the energy of the first layout, and of its command lines."""
    if not result.is_found:
        return ()
    one = result.layouts[0]
    return money_table(one.money(result.terms, result.isl, result.osl)), commands_table(one)


def commands_table(one: Layout) -> Table:
    """Return a table of the engine's command lines for a layout, and how many times each is started."""
    is_once = all(number == 1 for number in one.processes.values())
    title = "command lines" if is_once else "command lines, each on GPUs of its own"
    rows = [(f"{one.processes[role]} × {role}" if one.processes[role] > 1 else role, line)
            for role, line in one.commands.items()]  # fmt: skip
    return Table(title, columns("role: name", "command: text"), rows)


def _changes(result: ServingSearch) -> Table:
    """Return a table of changed settings that meet the limits."""
    rows = []
    for change, found in result.changes:
        one, price = found.layouts[0], found.layouts[0].usd_per_million_output(found.price)
        settings = settings_text(change)
        rows.append(
            (settings, layout_text(one), round(one.concurrency), duration(one.tpot_s), duration(one.ttft_s),
             dollars(price) if price else "")
        )  # fmt: skip
    heads = columns(
        "settings: name", "layout: name", "requests: number", "per output token: text", "first token: text",
        "per million output: text 1",
    )  # fmt: skip
    return Table("meets the limits with", heads, rows)


def _notes(result: ServingSearch) -> tuple[str, ...]:
    price = price_notes(result.price)
    if not result.is_found:
        more = "" if result.is_fixed else ", up to 8 times the GPUs, and faster GPUs"
        tried = f"no change that was tried meets the limits: formats with fewer bits{more}"
        return (*([] if result.is_too_long or result.changes else [tried]), *request_notes(result), *price)
    margin = "" if result.has_margin else f"; the layout {NO_MARGIN}"
    own = money_notes(result.layouts[0].money(result.terms, result.isl, result.osl))
    return (
        *_order(result.layouts),
        *pool_notes(result.layouts, result.requests),
        *request_notes(result),
        *price,
        *own,
        f"intervals contain 80 % of measured times{margin}",
    )


def _json(result: ServingSearch) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    inputs = {"gpu": result.accelerator.name, **requests_inputs(result), "gpus": own.pop("gpus")}
    times = {name: own.pop(name) for name in ("limits", "is_found", "has_margin", "layouts", "changes")}
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}

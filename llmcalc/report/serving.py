"""Report for ``serve`` with the time of requests under load, and what an output token takes."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.printable import three_digits
from ..core.type_names import Any
from ..fitting.advice import MOST
from ..search.space import DISTINCT_GAIN
from ..serving.replicas import SIZES
from ..serving.result import ServingResult, class_times
from .document import Document, Fact, Table, columns, summary_table, table_of
from .file_formats import sixteen_bit_line
from .heading import named_values
from .numbers import duration, percent
from .pictures import Bar, Bars
from .points import (
    MOST_ROWS,
    POINT_CELLS,
    TPOT,
    accepted_text,
    assumed_of,
    changes_table,
    point_data,
    point_document,
    request_notes,
    settings_text,
    sizes_of,
    speed_text,
    time_fact,
    unused_alert,
)
from .serving_money import break_even, money_notes, money_table, price_facts, price_notes, price_text

SMALLEST_ROW = 0.001  # of the time of an output token
SHOWN = 16  # classes of requests
GIB = 2**30
INPUTS = ("gpu", "gpus", *SIZES, "replicas", "isl", "osl", "concurrency", "max_num_batched_tokens")


def serving_document(result: ServingResult) -> Document:
    """Build the report of the time of requests. The title is the answer."""
    count, used = result.point.replicas, result.point.used
    layout = sizes_of(result.mesh) | ({"replicas": count} if count > 1 else {})
    own = {name: {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
           for name, value in result.service.given.items()}  # fmt: skip
    money, notes, details = result.money, _notes(result), _details(result)
    facts = _facts(result) if result.fits else []
    return point_document(
        result,
        lambda: point_data(result, (*notes, *details), INPUTS),
        _answer(result),
        {**result.requests.given, "concurrency": f"{result.load.concurrency:g}", **layout, **own},
        gpus=used,
        chosen=f" as {named_values(layout) or 'tp 1'} (chosen layout)" if result.has_chosen_layout else "",
        assumed=assumed_of(result, _assumed(result)),
        alerts=unused_alert(result.gpus - used, result.gpus),
        summary=summary_table(facts[:MOST_ROWS]),
        facts=tuple(facts[MOST_ROWS:]),
        tables=(
            *([_parts(result), *_requests(result)] if result.fits else ()),
            *([money_table(money)] if money else ()),
        ),
        next=_changes(result),
        pictures=lambda: _bars(result),
        notes=(_format_line(result), *_gain(result), *notes) if result.fits else (),
        details=(*details, *_kernels(result)) if result.fits else _kernels(result),
    )


def _assumed(result: ServingResult) -> dict[str, Any]:
    """Return the values of settings that the times depend on."""
    sizes = {name: size for name, size in sizes_of(result.mesh).items() if result.service.asked.get(name) is None}
    return {**sizes, "concurrency": f"{result.load.concurrency:g}", "max_num_batched_tokens": result.load.chunk}


def _format_line(result: ServingResult) -> str:
    own = result.point.formats
    if any(own.get(name) for name in ("experts", "attention_weights")):
        return ""
    return sixteen_bit_line(result.architecture, result.engine, own.get("weights"))


def _kernels(result: ServingResult) -> list[str]:
    """Return where the coefficients of the kernels were measured, in one line for each place."""
    places: dict[str, list[str]] = {}
    for name, origin in result.kernels.items():
        kind, _, place = origin.partition(" ")
        text = f"measured on {place}" if place else "fitted to all measured GPUs"
        places.setdefault(f"{text} (same kernels)" if kind == "sibling" else text, []).append(name.replace("_", " "))
    return [f"kernels {text}: {', '.join(names)}" for text, names in places.items()]


def _answer(result: ServingResult) -> str:
    """Return the answer in one line. Requests that wait for others are served too."""
    if not result.fits:
        return f"✗ {result.summary}"
    if not result.all_run:
        return f"✓ {speed_text(result)}: {result.summary[0].lower()}{result.summary[1:]}"
    if not result.tpot_s:
        return f"✓ {result.summary}"
    return f"✓ {duration(result.tpot_s)} per output token, {speed_text(result)}{price_text(result, result)}"


def _changes(result: ServingResult) -> Table:
    """Return a table of changed settings with which more requests run, at last all, or with which they are faster."""
    found = [*result.changes, *([result.faster] if result.fits and result.faster else [])]
    holding = [one for one in found[MOST - 1 :] if one[0] == result.holding_change] or found[MOST - 1 : MOST]
    return changes_table([*found[: MOST - 1], *holding], {
        "requests at once: text": lambda one: f"{one.running:,} of {one.load.concurrency:,.10g}",
        TPOT: POINT_CELLS[TPOT], "tokens/s per GPU: text": lambda one: three_digits(one.tokens_per_s_gpu),
    })  # fmt: skip


def _gain(result: ServingResult) -> list[str]:
    """Return a note on a layout with more tokens per second that may be no faster."""
    gain = result.faster[1].tokens_per_s_gpu / result.tokens_per_s_gpu if result.faster else 1.0
    if not result.faster or not 1 < gain <= DISTINCT_GAIN:
        return []
    return [f"the gain of {settings_text(result.faster[0])} is within the error of the estimates"]


def time_bars(parts: Iterable[tuple[str, float, str]], title: str) -> tuple[Bars, ...]:
    """Return a bar chart of parts of a time: name, seconds and a remark."""
    bars = tuple(Bar(name, (("milliseconds", round(seconds * 1e3, 3)),), text) for name, seconds, text in parts)
    return (Bars(title, "count", bars),) if bars else ()


def _bars(result: ServingResult) -> tuple[Bars, ...]:
    """Return a bar chart of the parts of an output token."""
    least = SMALLEST_ROW * (result.tpot_s or 0.0)
    bars = time_bars((part for part in result.parts if part[1] >= least), "milliseconds per output token")
    return bars if result.fits else ()


def _facts(result: ServingResult) -> list[Fact]:
    facts, inside = [], f"8 of 10 within ×/÷ {result.width:.2f}"
    if result.tpot and result.tpot_s:
        facts.append(time_fact("per output token", duration(result.tpot_s, result.tpot.low, result.tpot.high), inside))
    if result.ttft and result.ttft_s is not None:
        facts.append(time_fact("time to first token", duration(result.ttft_s, result.ttft.low, result.ttft.high)))
    else:
        waits = "memory" if result.limit == "KV cache" else "a place among those that run"
        facts.append(Fact("time to first token", "saturated", f"requests wait for {waits}"))
    facts.append(Fact("requests at once", f"{result.running:,}", f"limited by the {result.limit}"))
    facts += [Fact("requests per second", three_digits(float(result.time.requests_per_s)))]
    facts += [Fact("tokens/s per GPU", three_digits(result.tokens_per_s_gpu))]
    facts += [Fact("tokens/s per user", three_digits(result.tokens_per_s_user))] if result.tokens_per_s_user else []
    facts += price_facts(result, result.width, output=result.usd_per_million_output, tokens=result.usd_per_million)
    name, seconds, bound = next(iter(result.parts), ("", 0.0, ""))
    if result.tpot_s and name:
        facts.append(
            Fact("largest part", percent(seconds / result.tpot_s), name if name == bound else f"{name} ({bound})")
        )
    return [*facts, *_drafting(result), *_prefix(result), *break_even(result.money)]


def _drafting(result: ServingResult) -> list[Fact]:
    """Return what speculative decoding changes, and what it rests on."""
    own, plain = result.drafting, result.plain
    if own is None or plain is None or not result.tpot or result.speedup is None:
        return []
    facts = [
        Fact("speculation", f"{result.speedup:.2f}x", f"{own.title}; without: {duration(float(plain.tpot_s))}"),
        Fact("tokens per step", f"{own.accepted:.3g}", f"of at most {own.drafted + 1}"),
    ]
    if own.accepted_range and result.accepted_times:
        slow, fast = (plain.tpot_s / each.tpot_s for each in result.accepted_times)
        facts[1] = Fact("tokens per step", f"{own.accepted:.3g}", accepted_text(own))
        facts.append(Fact("range of speed-ups", f"{slow:.2f}x to {fast:.2f}x", "with the published tokens per step"))
    if result.break_even_length is not None:
        pays = "" if result.break_even_length <= own.drafted + 1 else ": more than can be accepted"
        facts.append(Fact("break-even", f"{result.break_even_length:.3g}", f"tokens per step{pays}"))
    return facts


def _prefix(result: ServingResult) -> list[Fact]:
    """Return the cached input tokens, and the keys and values that are stored once."""
    mean = result.requests.mean("cached")
    if not mean:
        return []
    facts = [Fact("cached input tokens", f"{mean:,.0f}", f"of {result.requests.mean('isl'):,.0f} are not prefilled")]
    if result.requests.is_shared:
        size = float(result.time.shared_bytes) / GIB
        saved = f"stored once instead of {int(result.time.batch):,} times on each GPU"
        facts.append(Fact("shared prefix", f"{size:.3g} GiB", saved))
    return facts


def _requests(result: ServingResult) -> list[Table]:
    """Return tables of the lengths of requests, and of their times."""
    own, tables = result.requests, []
    if own.quantiles:
        quantiles = {"mean": (own.mean("isl"), own.mean("osl")), **own.quantiles}
        rows = [(name, round(isl), round(osl)) for name, (isl, osl) in quantiles.items()]
        heads = columns("requests of the trace: name", "input tokens: number", "output tokens: number")
        tables.append(Table("trace", heads, rows))
    if 1 < len(own.classes) <= SHOWN and result.ttft:
        rows_of = [
            (one.name, round(one.isl), round(one.cached), round(one.osl), one.share, duration(first), duration(whole))
            for one, (first, whole) in zip(own.classes, class_times(result), strict=True)
        ]  # fmt: skip
        heads = columns("requests: name", "input: number", "cached: number", "output: number", "share: share",
                        "first token: text", "whole request: text")  # fmt: skip
        tables.append(Table("requests", heads, rows_of))
    return tables


def _parts(result: ServingResult) -> Table:
    """Return a table of the parts of an output token. Small ones are summed in one row."""
    whole = result.tpot_s or 0.0
    large = [part for part in result.parts if part[1] >= SMALLEST_ROW * whole]
    rest = sum(part[1] for part in result.parts[len(large) :])
    cells = {
        "part: name": lambda part: part[0], "time: text": lambda part: duration(part[1]),
        "share: share": lambda part: part[1] / whole, "bound: text": lambda part: part[2],
    }  # fmt: skip
    parts = [*large, *([("others", rest, "")] if rest else [])]
    return table_of("time per output token", parts, cells, ("total", duration(whole), 1.0, ""))


def _notes(result: ServingResult) -> tuple[str, ...]:
    return *request_notes(result), *(f"the interval is wider: {reason}" for reason in result.reasons)


def _details(result: ServingResult) -> tuple[str, ...]:
    return (
        *price_notes(result.price),
        *money_notes(result.money),
        "intervals contain 80 % of measured times; requests arrive as others end",
    )

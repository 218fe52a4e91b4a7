"""Report for ``serve`` with the time of requests under load, and what an output token takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import spelled
from ..search.space import DISTINCT_GAIN
from ..serving.replicas import SIZES
from ..serving.result import ServingResult, class_times
from .document import Document, Fact, Table, columns
from .file_formats import sixteen_bit_line
from .heading import model_document, named_values
from .numbers import dollars as dollars
from .numbers import duration, three_digits
from .pictures import Bar, Bars
from .serving_money import break_even, money_notes, money_table, price_notes

SMALLEST_ROW = 0.001  # of the time of an output token
SHOWN = 16  # classes of requests
GIB = 2**30


def serving_document(result: ServingResult) -> Document:
    """Build the report of the time of requests. The title is the answer."""
    mesh = result.mesh
    sizes = {**{name: getattr(mesh, name) for name in SIZES}, "replicas": result.replicas}
    layout = {name: size for name, size in sizes.items() if size > 1}
    own = {name: {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
           for name, value in result.settings.items()}  # fmt: skip
    settings = {**result.requests.given, "concurrency": f"{result.load.concurrency:g}", **layout, **own}
    unused = result.gpus - result.used
    chosen = f" as {named_values(layout) or 'tp 1'} (chosen layout)" if result.has_chosen_layout else ""
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        f" in {result.engine_title} on {result.used} × {result.accelerator.title}{chosen}",
        answer=_answer(result),
        lines=tuple(filter(None, (named_values(settings), _format_line(result)))),
        alerts=[f"the layout leaves {unused} of {result.gpus} GPUs unused"] if unused else (),
        facts=tuple(_facts(result)) if result.fits else (),
        tables=(_changes(result), *([_parts(result), *_requests(result)] if result.fits else ()), *_money(result)),
        main=1 if result.changes and result.fits else 0,
        pictures=lambda: _bars(result),
        notes=_notes(result) if result.fits else (),
        details=_kernels(result),
    )


def _format_line(result: ServingResult) -> str:
    own = result.formats
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
    """Return the answer in one line, with settings with which all requests run if they do not."""
    if result.all_run:
        cost = f", {dollars(result.usd_per_million)} per million tokens" if result.usd_per_million else ""
        return f"✓ {result.summary}{cost}"
    change, one = result.holding_change, "The request runs" if result.load.concurrency == 1 else "All requests run"
    return f"✗ {result.summary}" + (f". {one} with {settings_text(change)}" if change else "")


def settings_text(change: Mapping[str, Any]) -> str:
    """Format changed settings as options of the command line or of Python."""
    return spelled(" ".join(f"{{{name}={value}}}" for name, value in change.items()))


def _changes(result: ServingResult) -> Table:
    """Return a table of changed settings with which more requests run."""
    rows = [
        (settings_text(change), f"{one.running:,} of {one.load.concurrency:,.10g}",
         duration(one.tpot_s) if one.tpot_s else "", f"{one.tokens_per_s_gpu:,.0f}")
        for change, one in result.changes
    ]  # fmt: skip
    heads = columns("settings: name", "running requests: text", "per output token: text", "tokens/s per GPU: text")
    title = "fits with" if all(one.all_run for _, one in result.changes) else "more requests run with"
    return Table("with other settings" if result.fits else title, heads, rows)


def time_fact(label: str, *times: float) -> Fact:
    """Return a time with its interval."""
    best, _, span = duration(*times).partition(" (")
    return Fact(label, best, f"({span}")


def time_bars(parts: Iterable[tuple[str, float, str]], title: str) -> tuple[Bars, ...]:
    """Return a bar chart of parts of a time: name, seconds and a remark."""
    bars = tuple(Bar(name, (("milliseconds", round(seconds * 1e3, 3)),), text) for name, seconds, text in parts)
    return (Bars(title, "count", bars),) if bars else ()


def _money(result: ServingResult) -> tuple[Table, ...]:
    """Return a table of the price and the energy of tokens."""
    own = result.money
    return (money_table(own),) if own else ()


def _bars(result: ServingResult) -> tuple[Bars, ...]:
    """Return a bar chart of the parts of an output token."""
    least = SMALLEST_ROW * (result.tpot_s or 0.0)
    bars = time_bars((part for part in result.parts if part[1] >= least), "milliseconds per output token")
    return bars if result.fits else ()


def _facts(result: ServingResult) -> list[Fact]:
    time = result.time
    if result.ttft_s is not None and result.ttft_low_s is not None and result.ttft_high_s is not None:
        first = time_fact("first token", result.ttft_s, result.ttft_low_s, result.ttft_high_s)
    else:
        waits = "memory" if result.limit == "KV cache" else "a place among those that run"
        first = Fact("first token", "saturated", f"requests wait for {waits}")
    facts = []
    if result.tpot_s is not None and result.tpot_low_s is not None and result.tpot_high_s is not None:
        facts.append(time_fact("per output token", result.tpot_s, result.tpot_low_s, result.tpot_high_s))
    facts += [
        first,
        Fact("running requests", f"{result.running:,}", f"limited by the {result.limit}"),
        Fact("requests", three_digits(float(time.requests_per_s)), "per second"),
        Fact("output tokens", three_digits(result.tokens_per_s_gpu), "per second and GPU"),
    ]  # fmt: skip
    if result.faster:
        change, one = result.faster
        speed = f"{one.tokens_per_s_gpu:,.0f} tokens/s per GPU"
        if one.tokens_per_s_gpu <= DISTINCT_GAIN * result.tokens_per_s_gpu:
            speed += ", within the error of the estimates"
        facts.append(Fact("faster layout", settings_text(change), speed))
    gain = break_even(own) if (own := result.money) else None
    facts += [*_drafting(result), *_prefix(result), *([gain] if gain else [])]
    if result.price and result.usd_per_million_output and result.usd_per_million:
        facts.append(
            Fact("price per million output", dollars(result.usd_per_million_output), "all cost charged to output")
        )
        facts.append(Fact("price per million tokens", dollars(result.usd_per_million), "input and output"))
    return facts


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
        low, high = own.accepted_range
        facts[1] = Fact("tokens per step", f"{own.accepted:.3g}", f"assumed: {low:.3g} to {high:.3g} are published")
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
        rows = [(f"{name}", round(isl), round(osl)) for name, (isl, osl) in own.quantiles.items()]
        rows.insert(0, ("mean", round(own.mean("isl")), round(own.mean("osl"))))
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
    rows = [
        (name, duration(seconds), seconds / whole, bound)
        for name, seconds, bound in (*large, *([("others", rest, "")] if rest else []))
    ]
    total = ("total", duration(whole), 1.0, "")
    return Table(
        "time per output token", columns("part: name", "time: text", "share: share", "bound: text"), rows, total
    )


def _notes(result: ServingResult) -> tuple[str, ...]:
    reasons = tuple(f"the interval is wider: {reason}" for reason in result.reasons)
    price = price_notes(result.price)
    own = result.money
    costs = money_notes(own) if own else ()
    source = result.drafting.source if result.drafting else ""
    accepted = (f"tokens per step: {source}",) if source else ()
    return (
        *(spelled(note) for note in result.notes),
        *accepted,
        *reasons,
        *price,
        *costs,
        "intervals contain 80 % of measured times; requests arrive as others end",
    )


def _json(result: ServingResult) -> tuple[dict[str, Any], dict[str, Any]]:
    times = result.to_dict()
    own = {name: times.pop(name) for name in ("engine", "evidence")}
    inputs = {name: times.pop(name) for name in ("gpu", "gpus", *SIZES, "replicas", "isl", "osl", "concurrency")}
    inputs["max_num_batched_tokens"] = times.pop("max_num_batched_tokens")
    del times["notes"], times["model"]
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}

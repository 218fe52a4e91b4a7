"""Report for ``serve`` with several kinds of GPUs, those with the cheapest tokens first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import spelled
from ..search.served_gpus import ServedGpus
from ..search.serving_gpus import ServingGpus
from ..serving.memory import engine_title
from .document import Document, Table, columns
from .heading import model_document, named_values
from .numbers import dollars, duration, three_digits

SHOWN = 12  # kinds of GPUs
Spell = Callable[[Mapping[str, Any]], str]


def serving_gpus_document(result: ServingGpus, spell: Spell | None = None) -> Document:
    """Build the report of a search for GPUs. The title is the answer, and the next line what to run.

    ``spell`` returns the command line of this question with changed settings.
    """
    limits = {name: f"< {duration(limit)}" for name, limit in result.limits.items()}
    listed = result.gpus[:SHOWN] if result.is_all else result.gpus
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        " on 1, 2, 4 or 8 GPUs of each kind" if result.is_all else "",
        answer=_answer(result),
        action=_action(result, spell),
        lines=(named_values({**result.given, **limits}),),
        tables=(_table(result, listed),),
        listing=lambda: _table(result, result.gpus, is_whole=True),
        notes=_notes(result, len(listed)),
        details=[f"{reason}: {', '.join(names)}" for reason, names in result.left_out.items()],
    )


def _gpus(one: ServedGpus) -> str:
    return f"{one.count} × {one.accelerator.title}"


def _times(one: ServedGpus) -> str:
    named = ((one.tpot_s, "per output token"), (one.ttft_s, "to the first token"))
    times = [f"{duration(seconds)} {what}" for seconds, what in named if seconds]
    return ", ".join([*times, f"{three_digits(one.tokens_per_s)} tokens/s"])


def _answer(result: ServingGpus) -> str:
    one = result.best
    if one is None and result.limits and result.gpus and result.gpus[0].runs:
        closest = result.gpus[0]
        number = f"{closest.concurrency:,.0f} request{'s' * (round(closest.concurrency) != 1)}"
        return f"✗ No GPUs meet the limits. The closest is {_gpus(closest)} with {number}: {_times(closest)}"
    if result.too_long:
        return f"✗ {result.too_long}"
    if one is None:
        where = "of 1, 2, 4 or 8 GPUs with a price" if result.is_all else "of these GPUs"
        return f"✗ The requests run at once on none {where}"
    span, price = one.usd_per_million_range, one.usd_per_million
    within = " within the limits" if result.limits else ""
    if price is None or span is None:
        return f"✓ {_gpus(one)}{within}, whose price is unknown: {_times(one)}"
    usual = f"${three_digits(price)} per million tokens ({dollars(span)})"
    return f"✓ Cheapest{within}: {_gpus(one)} at {usual}: {_times(one)}"


def _action(result: ServingGpus, spell: Spell | None) -> str:
    """Return a command that starts the engine, or that asks for more about the first GPUs, or for changed settings."""
    one = result.best
    if one and list(one.commands) == ["serve"]:
        return one.commands["serve"]
    change = (one, dict[str, Any]()) if one else result.change
    return spell({"gpu": _spec(change[0]), **change[1]}) if spell and change else ""


def _spec(one: ServedGpus) -> str:
    return f"{one.accelerator.name}:{one.count}" if one.count > 1 else one.accelerator.name


def _layout(one: ServedGpus) -> str:
    return " ".join(f"{name} {size}" for name, size in one.layout.items()) or "1 GPU"


def _table(result: ServingGpus, listed: tuple[ServedGpus, ...], *, is_whole: bool = False) -> Table:
    """Return a table of GPUs. Columns that say the same of all GPUs are left out, unless ``is_whole``."""
    has_prices = any(one.price for one in listed)
    shown = {
        "all run: name": is_whole or not all(one.runs for one in listed), "in limits: name": bool(result.limits),
        "engine: name": is_whole or len({one.engine for one in listed}) > 1, "layout: name": is_whole,
        "requests: number": is_whole or "concurrency" not in result.given,
        **dict.fromkeys(("TPOT: name", "TTFT: name"), any(one.tpot_s or one.ttft_s for one in listed)),
        **dict.fromkeys(("USD per million: name", "USD per GPU-hour: text"), has_prices),
        **dict.fromkeys(("low: name", "high: name", "dated: name"), is_whole and has_prices),
    }  # fmt: skip
    rows = [_cells(one, is_whole=is_whole) for one in listed]
    names = ("GPUs: name", *(name for row in rows[:1] for name in row if shown.get(name, True)))
    gpus = [f"{one.count} × {one.accelerator.name}" for one in listed]
    cells = [(gpu, *(row[name] for name in names[1:])) for gpu, row in zip(gpus, rows, strict=True)]
    return Table("closest first" if result.best is None else "cheapest first", columns(*names), cells)


def _cells(one: ServedGpus, *, is_whole: bool) -> dict[str, Any]:
    """Return the cells of a row by the column, with numbers without units if ``is_whole``."""
    price, span, (text, dated) = one.usd_per_million, one.usd_per_million_range or (None, None), one.quote
    low = f"{one.price.low:.2f}" if one.price else ""
    quoted = text if one.price is None or text.startswith((low, f"{one.price.low:g}")) else f"{low}: {text}"
    found: dict[str, Any] = {
        "in limits: name": "yes" if one.is_met else "no", "all run: name": "yes" if one.runs else "no",
        "engine: name": engine_title(one.engine), "layout: name": _layout(one),
        "USD per million: name": price, "low: name": span[0], "high: name": span[1],
        "requests: number": round(one.concurrency), "TPOT: name": one.tpot_s, "TTFT: name": one.ttft_s,
        "tokens/s: digits": round(one.tokens_per_s),
    }  # fmt: skip
    if not one.runs:
        found = {name: cell if cell in ("yes", "no") or name.startswith("engine") else None
                 for name, cell in found.items()}  # fmt: skip
    elif not is_whole:
        found |= {name: duration(found[name]) if found[name] else "" for name in ("TPOT: name", "TTFT: name")}
        found["USD per million: name"] = three_digits(price) if price else ""
    return {**found, "USD per GPU-hour: text": low if is_whole else quoted, "dated: name": dated}


def _notes(result: ServingGpus, n_listed: int) -> tuple[str, ...]:
    left = [f"{len(names)} where {reason}" for reason, names in result.left_out.items()]
    n_kinds, best = len(result.gpus), result.best
    times = next(iter(best.processes.values()), 1) if best and list(best.commands) == ["serve"] else 1
    waiting = [one for one in result.gpus if not one.runs]
    sources = dict.fromkeys(
        one.result.accelerator.price_source for one in result.gpus if one.price and not one.quote[1]
    )
    return (
        *([f"the command is started {times} times, each on other GPUs"] if times > 1 else []),
        *(f"{_gpus(one)}: {one.result.summary}" for one in waiting),
        *([f"the first {n_listed} of {n_kinds} kinds of GPUs; CSV has all"] if n_listed < n_kinds else []),
        *([f"not in the table: {', '.join(left)}"] if left else []),
        *([spelled(f"more about the first: {{gpu={_spec(best)}}} in its place")] if best else []),
        *map(spelled, result.notes),
        "USD per million: input and output tokens together, at the lowest quote of a GPU-hour; TPOT, TTFT: time per "
        "output token and to the first one",
        *([f"source of quotes without a date: {'; '.join(filter(None, sources))}"] if any(sources) else []),
        "the interval in parentheses has the highest quote and 80 % of measured times",
    )


def _json(result: ServingGpus) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    first = result.best or next(iter(result.gpus), None) or result.largest
    names = ("is_found", "limits", "gpus", "left_out")
    times = {name: own[name] for name in names}
    shown = {"engine": first.engine if first else "", "evidence": own["evidence"], "times": times}
    notes = [*_notes(result, len(result.gpus)), *result.architecture.notes]
    return {**result.given, "gpu": [f"{one.accelerator.name}:{one.count}" for one in result.gpus]}, {
        **shown, "notes": notes,
    }  # fmt: skip

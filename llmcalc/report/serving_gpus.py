"""Report for ``serve`` with several kinds of GPUs, those with the cheapest tokens first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import spelled
from ..core.printable import three_digits
from ..search.served_gpus import ServedGpus
from ..search.serving_gpus import ServingGpus
from ..serving.memory import engine_title
from .document import Document, Table, table_of
from .heading import model_document, named_values
from .numbers import duration, ends_text
from .points import limit_texts, requests_text, sizes_text, times_text

SHOWN = 12  # kinds of GPUs
Spell = Callable[[Mapping[str, Any]], str]
PRICES = (
    "USD per million: input and output tokens together, at the median quote of a GPU-hour; TPOT, TTFT: time per output "
    "token and to the first one"
)


def serving_gpus_document(result: ServingGpus, spell: Spell | None = None) -> Document:
    """Build the report of a search for GPUs. The title is the answer, and the next line what to run.

    ``spell`` returns the command line of this question with changed settings.
    """
    listed = result.gpus[:SHOWN] if result.is_all else result.gpus
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        " on 1, 2, 4 or 8 GPUs of each kind" if result.is_all else "",
        answer=_answer(result),
        excess=next((one.result.excess for one in listed), ""),
        action=_action(result, spell),
        lines=(named_values({**result.asked, **limit_texts(result.limits)}),),
        tables=(_table(result, listed),),
        listing=lambda: _table(result, result.gpus, is_whole=True),
        notes=_notes(result, len(listed)),
        details=[
            *(f"{_gpus(one)}: {one.price.source}" for one in listed if one.price),
            *(f"{reason}: {', '.join(names)}" for reason, names in result.left_out.items()),
        ],
    )


def _gpus(one: ServedGpus) -> str:
    return f"{one.count} × {one.accelerator.title}"


def _times(one: ServedGpus) -> str:
    return ", ".join(filter(None, (times_text(one), f"{three_digits(one.tokens_per_s)} tokens/s")))


def _answer(result: ServingGpus) -> str:
    one = result.best
    if one is None and result.limits and result.gpus and result.gpus[0].runs:
        closest = result.gpus[0]
        number = requests_text(closest.served)
        return f"✗ No GPUs meet the limits. The closest is {_gpus(closest)} with {number}: {_times(closest)}"
    if result.refusal:
        return f"✗ {result.refusal}"
    if one is None:
        where = "of 1, 2, 4 or 8 GPUs with a price" if result.is_all else "of these GPUs"
        return f"✗ The requests run at once on none {where}"
    within = " within the limits" if result.limits else ""
    if one.usd_per_million is None:
        return f"✓ {_gpus(one)}{within}, whose price is unknown: {_times(one)}"
    usual = f"${three_digits(one.usd_per_million)} per million tokens"
    return f"✓ Cheapest{within}: {_gpus(one)}, {usual}, {three_digits(one.tokens_per_s)} tokens/s"


def _action(result: ServingGpus, spell: Spell | None) -> str:
    """Return a command that starts the engine, or that asks for more about the first GPUs, or for changed settings."""
    one = result.best
    if one and list(one.commands) == ["serve"]:
        return one.commands["serve"]
    change = (one, dict[str, Any]()) if one else result.change
    return spell({"gpu": _spec(change[0]), **change[1]}) if spell and change else ""


def _spec(one: ServedGpus) -> str:
    return f"{one.accelerator.name}:{one.count}" if one.count > 1 else one.accelerator.name


def _table(result: ServingGpus, listed: tuple[ServedGpus, ...], *, is_whole: bool = False) -> Table:
    """Return a table of GPUs. Columns that say the same of all GPUs are left out, unless ``is_whole``.

    Numbers have no units if ``is_whole``. GPUs on which not all requests run have no times and no price of tokens.
    """

    def of_running(value: Callable[[ServedGpus], Any]) -> Callable[[ServedGpus], Any]:
        return lambda one: value(one) if one.runs else None

    def number(name: str, write: Callable[[Any], str]) -> Callable[[ServedGpus], Any]:
        def cell(one: ServedGpus) -> Any:
            size = getattr(one, name)
            return size if is_whole else write(size) if size else ""

        return of_running(cell)

    def end(place: int) -> Callable[[ServedGpus], Any]:
        return lambda one: one.usd_per_million_range and one.usd_per_million_range[place]

    engines = {one.result.engine for one in listed}
    has_prices, has_times = any(one.price for one in listed), any(one.tpot_s or one.ttft_s for one in listed)
    found: tuple[tuple[str, bool, Callable[[ServedGpus], Any]], ...] = (
        ("GPUs: name", True, lambda one: f"{one.count} × {one.accelerator.name}"),
        ("in limits: name", bool(result.limits), lambda one: "yes" if one.is_met else "no"),
        ("all run: name", is_whole or not all(one.runs for one in listed), lambda one: "yes" if one.runs else "no"),
        ("engine: name", is_whole or len(engines) > 1, lambda one: engine_title(one.result.engine)),
        ("layout: name", is_whole, of_running(lambda one: sizes_text(one.layout))),
        ("USD per million: name", has_prices, number("usd_per_million", three_digits)),
        ("low: name", is_whole and has_prices, end(0)),
        ("high: name", is_whole and has_prices, end(1)),
        ("requests: number", is_whole or "concurrency" not in result.asked,
         of_running(lambda one: one.served and round(one.served.concurrency))),
        ("TPOT: name", has_times, number("tpot_s", duration)),
        ("TTFT: name", has_times, number("ttft_s", duration)),
        ("tokens/s: digits", True, of_running(lambda one: round(one.tokens_per_s))),
        ("USD per GPU-hour: text", has_prices, lambda one: _hour(one, is_whole=is_whole)),
        ("dated: name", is_whole and has_prices, lambda one: one.quote[1]),
    )  # fmt: skip
    cells = {name: cell for name, is_shown, cell in found if is_shown}
    cheapest = "by the price of input and output tokens, cheapest first"
    return table_of("closest first" if result.best is None else cheapest, listed, cells)


def _hour(one: ServedGpus, *, is_whole: bool) -> str:
    """Return the median quote of a GPU-hour, with the range of the quotes unless ``is_whole``."""
    if one.price is None or one.usd_per_hour is None:
        return ""
    span = f", of {ends_text(f'{one.price.low:.2f}', f'{one.price.high:.2f}')}"
    return f"{one.usd_per_hour:.2f}{span if one.price.low < one.price.high and not is_whole else ''}"


def _notes(result: ServingGpus, n_listed: int) -> tuple[str, ...]:
    left = [f"{len(names)} where {reason}" for reason, names in result.left_out.items()]
    n_kinds, best = len(result.gpus), result.best
    times = next(iter(best.processes.values()), 1) if best and list(best.commands) == ["serve"] else 1
    return (
        *([f"the command is started {times} times, each on other GPUs"] if times > 1 else []),
        *(f"{_gpus(one)}: {one.result.summary}" for one in result.gpus if not one.runs),
        *([f"the first {n_listed} of {n_kinds} kinds of GPUs; CSV has all"] if n_listed < n_kinds else []),
        *([f"not in the table: {', '.join(left)}"] if left else []),
        *([spelled(f"more about the first: {{gpu={_spec(best)}}} in its place")] if best else []),
        *map(spelled, result.notes),
        PRICES,
    )


def _json(result: ServingGpus) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    first = result.best or next(iter(result.gpus), None) or result.closest
    times = {name: own[name] for name in ("is_found", "limits", "gpus", "left_out")}
    notes = [*_notes(result, len(result.gpus)), *result.architecture.notes]
    engine = first.result.engine if first else ""
    found = {"engine": engine, "evidence": own["evidence"], "times": times, "notes": notes}
    return {**result.asked, "gpu": [f"{one.accelerator.name}:{one.count}" for one in result.gpus]}, found

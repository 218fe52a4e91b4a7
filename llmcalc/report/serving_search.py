"""Report for ``serve`` with the layouts that meet limits on the times of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..api.serving_search import Layout, PrefillPool, ServingSearch
from ..core.errors import spelled
from ..estimate.training_run import Price
from .document import Document, Table, columns
from .heading import model_document, named_values
from .numbers import duration
from .pictures import Bar, Bars
from .serving import dollars

if TYPE_CHECKING:
    from ..api.serving_front import ServingFront


def search_document(result: ServingSearch) -> Document:
    """Build the report of a search for layouts. The title is the answer."""
    limits = {name: f"< {duration(limit)}" for name, limit in result.limits.items()}
    return model_document(
        result.architecture,
        "serve",
        lambda: _json(result),
        f" in {result.engine_title} on {result.gpus} × {result.accelerator.title}",
        answer=_answer(result),
        lines=(named_values({"isl": result.isl, "osl": result.osl, **limits}),),
        tables=(_layouts(result),),
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


def too_long(result: ServingSearch | ServingFront) -> str:
    """Return the answer for a request with more tokens than the model allows."""
    return f"✗ A request of {result.isl + result.osl:,} tokens exceeds the model's {result.max_model_len:,}"


def pool_notes(layouts: Sequence[Layout]) -> tuple[str, ...]:
    """Return a note that explains two pools, if there are any."""
    text = "A → B: A computes prefills and sends keys and values to B, which decodes"
    return (text,) if any(one.prefill for one in layouts) else ()


def price_notes(own: Price | None) -> tuple[str, ...]:
    """Return a note with the price of a GPU, if it is known."""
    return (f"price of a GPU: {dollars((own.low, own.high))} per hour, {own.source}",) if own else ()


def _answer(result: ServingSearch) -> str:
    if result.is_too_long:
        return too_long(result)
    if not result.layouts:
        return f"✗ The model does not fit on {result.gpus} × {result.accelerator.title}"
    best = result.layouts[0]
    times = f"{duration(best.tpot_s)} per output token, {duration(best.ttft_s)} to the first token"
    if not result.is_found:
        return f"✗ No layout meets the limits. The closest is {layout_text(best)} with one request: {times}"
    speed = f"{best.concurrency:,.0f} requests, {best.tokens_per_s_gpu:,.0f} tokens/s per GPU"
    margin = "" if result.has_margin else ", no margin"
    return f"✓ {layout_text(best)} with {speed}: {times}{margin}"


def _layouts(result: ServingSearch) -> Table:
    rows = []
    for one in result.layouts:
        price = one.usd_per_million_output(result.price)
        rows.append(
            (layout_text(one), round(one.concurrency), duration(one.tpot_s, one.tpot.low, one.tpot.high),
             duration(one.ttft_s, one.ttft.low, one.ttft.high),
             round(1 / one.tpot_s), round(one.tokens_per_s_gpu), dollars(price) if price else "")
        )  # fmt: skip
    heads = columns(
        "layout: name", "requests: number", "per output token: text", "first token: text",
        "tokens/s per user: number 2", "per GPU: number 1", "per million output: text",
    )  # fmt: skip
    return Table("layouts", heads, rows)


def _notes(result: ServingSearch) -> tuple[str, ...]:
    price = price_notes(result.price)
    if not result.is_found:
        hint = "longer limits, more GPUs or narrower formats such as {weights=fp8} and {cache=fp8} may help"
        return (*([] if result.is_too_long else [spelled(hint)]), *price)
    margin = "" if result.has_margin else ", and exceed the limits: no margin"
    return (*pool_notes(result.layouts), *price, f"intervals contain 80 % of measured times{margin}")


def _json(result: ServingSearch) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    inputs = {"gpu": result.accelerator.name, "isl": result.isl, "osl": result.osl, "gpus": own.pop("gpus")}
    times = {name: own.pop(name) for name in ("limits", "is_found", "has_margin", "layouts")}
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}

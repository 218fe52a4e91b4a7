"""Report for ``serve`` with the layouts that meet limits on the times of requests."""

from __future__ import annotations

from typing import Any

from ..api.serving_search import Layout, ServingSearch
from ..core.errors import spelled
from .document import Document, Table, columns
from .heading import model_document, named_values
from .numbers import duration
from .serving import dollars


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
        notes=_notes(result),
    )


def layout_text(one: Layout) -> str:
    """Format a layout, such as ``4 × tp 2``."""
    own = " ".join(f"{name} {size}" for name, size in one.settings.items()) or "1 GPU"
    return f"{one.replicas} × {own}" if one.replicas > 1 else own


def _answer(result: ServingSearch) -> str:
    if result.is_too_long:
        length = result.isl + result.osl
        return f"✗ A request of {length:,} tokens exceeds the model's {result.max_model_len:,}"
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
    own = result.price
    price = (f"price of a GPU: {dollars((own.low, own.high))} per hour, {own.source}",) if own else ()
    if not result.is_found:
        hint = "longer limits, more GPUs or narrower formats such as {weights=fp8} and {cache=fp8} may help"
        return (*([] if result.is_too_long else [spelled(hint)]), *price)
    margin = "" if result.has_margin else ", and exceed the limits: no margin"
    return (*price, f"intervals contain 80 % of measured times{margin}")


def _json(result: ServingSearch) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    inputs = {"gpu": result.accelerator.name, "isl": result.isl, "osl": result.osl, "gpus": own.pop("gpus")}
    times = {name: own.pop(name) for name in ("limits", "is_found", "has_margin", "layouts")}
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}

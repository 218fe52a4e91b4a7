"""Report for ``serve`` with the layouts that keep limits on the times of requests."""

from __future__ import annotations

from typing import Any

from ..api.serving_search import Layout, ServingSearch
from .document import Document, Table, columns
from .heading import model_document, named_values
from .serving import dollars, milliseconds


def search_document(result: ServingSearch) -> Document:
    """Build the report of a search for layouts. The title is the answer."""
    limits = {name: f"< {milliseconds(limit)}" for name, limit in result.limits.items()}
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
    if not result.layouts:
        return f"✗ The model does not fit on {result.gpus} × {result.accelerator.title}"
    best = result.layouts[0]
    times = f"{milliseconds(best.tpot_s)} per output token, {milliseconds(best.ttft_s)} to the first token"
    if not result.is_found:
        return f"✗ No layout keeps the limits. The closest is {layout_text(best)} with one request: {times}"
    speed = f"{best.concurrency:,.0f} requests, {best.tokens_per_s_gpu:,.0f} tokens/s per GPU"
    return f"✓ {layout_text(best)} with {speed}: {times}"


def _layouts(result: ServingSearch) -> Table:
    rows = []
    for one in result.layouts:
        price = one.usd_per_million_output(result.price)
        rows.append(
            (layout_text(one), round(one.concurrency), milliseconds(one.tpot_s), milliseconds(one.ttft_s),
             round(1 / one.tpot_s), round(one.tokens_per_s_gpu, 1), dollars(price) if price else "")
        )  # fmt: skip
    heads = columns(
        "layout: name", "requests: number", "per token: text", "first token: text", "tokens/s per user: number",
        "per GPU: number", "per million output: text",
    )  # fmt: skip
    return Table("layouts", heads, rows)


def _notes(result: ServingSearch) -> tuple[str, ...]:
    own = result.price
    price = (f"price of a GPU: {dollars((own.low, own.high))} per hour, {own.source}",) if own else ()
    return (*price, "limits hold for the estimates. serve prints their intervals if it is given the concurrency")


def _json(result: ServingSearch) -> tuple[dict[str, Any], dict[str, Any]]:
    own = result.to_dict()
    inputs = {"gpu": result.accelerator.name, "isl": result.isl, "osl": result.osl, "gpus": own.pop("gpus")}
    times = {name: own.pop(name) for name in ("limits", "is_found", "layouts")}
    return inputs, {**own, "times": times, "notes": [*_notes(result), *result.architecture.notes]}

"""Derivations of the numbers of a state, as trees that the page opens on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...api.explain import explain
from ...api.latency_tree import NANO, UNIT, latency_tree
from ...core.errors import UnknownNameError
from ...core.evidence import CLASSES
from ...core.tree import Node
from ...report.explain import explain_document
from ...report.numbers import duration, exact, readable, short, three_digits
from ...report.serving import dollars
from .closed_forms import closed_forms
from .state import Case

QUANTITIES = ("memory", "params", "flops", "state")


def derivation(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree of ``quantity``, its closed form, the meanings of symbols, and the classes of evidence."""
    name = str(asked.get("quantity") or "params")
    made = {"latency": _latency, "prefill": _prefill, "throughput": _throughput, "cost": _cost, "capacity": _capacity}
    found = made[name](case) if name in made else _explained(case, name)
    return {"quantity": name, "classes": CLASSES, **found}


def _explained(case: Case, name: str) -> dict[str, Any]:
    if name not in QUANTITIES:
        raise UnknownNameError("quantity", name, QUANTITIES, parameter="quantity")
    sizes: dict[str, Any] = {} if name == "params" else {"seq": case.context}
    if name == "flops":
        sizes = {"mode": "decode", "context": max(case.context - 1, 1)}
    if name in ("memory", "state"):
        sizes |= {"batch": case.users}
    if name == "memory":
        mesh = case.fit.result.mesh
        ranks = {each: size for each in ("tp", "pp", "dp", "ep") if (size := getattr(mesh, each)) > 1}
        sizes |= {**case.formats, **ranks}
    elif name == "state" and case.state.kv:
        sizes["cache"] = case.state.kv
    found = explain(case.model, name, **sizes)
    symbols = next((table.rows for table in explain_document(found).tables if table.title == "symbols"), ())
    forms = [list(line) for line in closed_forms(case, name)]
    return {"tree": node_data(found.tree), "symbols": [list(row) for row in symbols], "forms": forms}


def node_data(node: Node) -> dict[str, Any]:
    """Return a tree as plain data with readable values."""
    is_time = node.unit == UNIT
    text = duration(node.value * NANO) if is_time else readable(node.value, node.unit)
    data: dict[str, Any] = {"label": node.label, "text": text, "unit": node.unit}
    if is_time or short(node.value, node.unit):
        data["exact"] = exact(node.value)
    data |= {name: value for name in ("formula", "substituted", "note") if (value := getattr(node, name))}
    if is_time:
        data["note"] = data.get("note", "").removeprefix("in nanoseconds").removeprefix(", ")
    if node.children:
        data["children"] = [node_data(child) for child in node.children]
    return data


def _latency(case: Case) -> dict[str, Any]:
    result = case.latency
    return {"tree": node_data(latency_tree(result)), "notes": [*result.interval.reasons, *result.measured_on]}


def _prefill(case: Case) -> dict[str, Any]:
    result = case.prefill_of(case.prompt)
    notes = ["the prefill of one prompt; other users' prompts add to the wait", *result.measured_on]
    return {"tree": node_data(latency_tree(result)), "notes": notes}


def _lines(label: str, text: str, *rows: tuple[str, str, str]) -> dict[str, Any]:
    """Return a tree of one level, whose values are texts."""
    children = [{"label": name, "text": value, "note": note} for name, value, note in rows]
    return {"tree": {"label": label, "text": text, "children": children}}


def _throughput(case: Case) -> dict[str, Any]:
    if case.only_reads:
        seconds = case.latency.seconds
        return _lines("texts per second", three_digits(case.state.users / seconds),
                      ("texts", f"{case.state.users:,}", ""), ("time of a batch", duration(seconds), ""))  # fmt: skip
    serving, each = case.serving, case.serving.tokens_per_s_gpu
    gpus = case.fit.result.mesh.ranks * case.replicas
    return _lines(
        "tokens per second", three_digits(each * gpus),
        ("requests per second of a replica", three_digits(float(serving.time.requests_per_s)), "a request leaves after "
         "its prefill, its decode steps and the prefills of the others"),
        ("output tokens of a request", f"{case.answer:,}", ""),
        ("replicas", f"{case.replicas:,}", ""),
    )  # fmt: skip


def _cost(case: Case) -> dict[str, Any]:
    serving = case.serving
    price, cost = serving.price, serving.usd_per_million_output
    if price is None or cost is None:
        return _lines("cost", "unknown", ("price of a GPU", "unknown", ""))
    return _lines(
        "price of a million output tokens", dollars(cost),
        ("price of a GPU", f"{dollars((price.low, price.high))} per hour", price.source),
        ("output tokens", f"{three_digits(serving.tokens_per_s_gpu)} per second and GPU", ""),
        ("interval", f"× {three_digits(serving.width)}", "of the time per output token, towards both ends"),
    )  # fmt: skip


def _capacity(case: Case) -> dict[str, Any]:
    serving = case.serving
    memory = serving.memory.memory if serving.memory else None
    space = readable(round(memory.available.best), "bytes") if memory else "what the weights leave"
    return _lines(
        "requests at once", f"{case.capacity:,}",
        ("KV cache", space, f"as {serving.engine_title} divides the memory of a GPU"),
        ("tokens of a request", f"{case.prompt + case.answer:,}", "all in the cache at its end"),
        ("replicas", f"{case.replicas:,}", ""),
    )  # fmt: skip

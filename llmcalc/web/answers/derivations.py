"""Derivations of the numbers of a state, as trees that the page opens on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...api.explain import explain
from ...core.errors import UnknownNameError
from ...core.evidence import CLASSES
from ...core.printable import three_digits
from ...core.tree import Node
from ...report.explain import explain_document
from ...report.fit import needed_tree
from ...report.numbers import BYTES, dollars, duration, exact, readable, short
from ...serving.latency_times import Latency
from ...serving.latency_tree import NANO, UNIT, latency_tree
from .case import Case
from .closed_forms import closed_form
from .view import view_of

OTHERS = "prefill of other requests"  # part of the time per output token
CLOSE = 0.002  # relative difference of times that are the same
QUANTITIES = ("memory", "params", "flops", "state")


def derivation(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree of ``quantity``, its closed form, the meanings of symbols, and the classes of evidence."""
    name = str(asked.get("quantity") or "params")
    made = view_of(case).derivations
    found = made[name](case) if name in made else _explained(case, name)
    return {"quantity": name, "classes": CLASSES, **found}


def _explained(case: Case, name: str) -> dict[str, Any]:
    if name == "missing":
        return _missing(case)
    if name not in QUANTITIES:
        raise UnknownNameError("quantity", name, QUANTITIES, parameter="quantity")
    sizes: dict[str, Any] = {} if name == "params" else {"seq": case.context}
    if name == "flops" and not case.only_reads:
        sizes = {"mode": "decode", "context": case.cached}
    if name == "memory":
        sizes |= case.memory_settings
    elif name == "state":
        sizes |= {"batch": case.users, **({"cache": case.state.kv} if case.state.kv else {})}
    found = explain(case.model, name, **sizes)
    symbols = next((table.rows for table in explain_document(found).tables if table.title == "symbols"), ())
    form = closed_form(case, name)
    tree = node_data(found.tree)
    if name == "memory":
        tree = node_data(needed_tree(case.fit)) if case.fit.start else _with_runtime(case, tree)
    return {
        "tree": tree, "symbols": [*map(list, symbols)],
        "forms": [*map(list, form.lines)], "form_symbols": [*map(list, form.symbols)],
    }  # fmt: skip


def _missing(case: Case) -> dict[str, Any]:
    """Return how much more memory a model needs than a GPU has."""
    found = _explained(case, "memory")
    fit = case.fit
    lack, size = (readable(value, BYTES) for value in (-fit.headroom, fit.usable if fit.start else fit.memory))
    note = f"the part of {readable(fit.memory, BYTES)} that the engine uses" if fit.start else case.gpu.usable_text
    card = {"label": "memory of a GPU", "text": size, "note": note}
    parts = [{**found["tree"], "label": "needed on a GPU"}, card]
    return {**found, "tree": branch("missing", lack, parts, formula="needed - memory")}


def _with_runtime(case: Case, peak: dict[str, Any]) -> dict[str, Any]:
    """Return the memory that a GPU needs, which is the peak of the model and what is kept free for the runtime."""
    whole, reserve = case.fit.needed + case.fit.reserve, case.fit.reserve
    runtime = node_data(Node("runtime", reserve, BYTES, note="kept free for CUDA, libraries and other programs"))
    return {**node_data(Node("memory of a GPU", whole, BYTES, "peak + runtime")), "children": [peak, runtime]}


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
    notes = [*result.interval.reasons, *_fits(result)]
    if case.only_reads:
        return {"tree": _timed("time of all texts", case.reading_span[0], [_batches(case)]), "notes": notes}
    if not case.serving.tpot_s:
        return {"tree": node_data(latency_tree(result)), "notes": notes}
    serving, token = case.serving, case.serving.tpot_s
    rows = [
        _timed(name, seconds, note=f"limited by {bound}") for name, seconds, bound in serving.parts if name != OTHERS
    ]
    others = [_timed(name, seconds) for name, seconds, _ in serving.parts if name == OTHERS]
    step = sum(seconds for name, seconds, _ in serving.parts if name != OTHERS)
    is_same = abs(result.seconds - step) < CLOSE * step  # requests of equal lengths that all run
    parts = node_data(latency_tree(result)) if is_same else _timed("decode step", step, rows)
    whole = _timed("time per output token", token, [parts, *others])
    speed = f"{three_digits(1 / token)} tokens/s"
    return {"tree": branch("speed of a user", speed, [whole], formula="1 / time per output token"), "notes": notes}


def _prefill(case: Case) -> dict[str, Any]:
    result = case.prefill_of(case.prompt)
    tree, first, own = node_data(latency_tree(result)), case.serving.ttft_s, float(case.serving.time.prefill_s)
    if first is None:
        return {"tree": tree, "notes": _fits(result)}
    if own < result.seconds:
        alone = f"alone, it takes {duration(result.seconds)}"
        parts = [_timed("its share of steps with several prompts", own, note=alone)]
    else:
        parts = [tree, _timed("decoding of other requests in the same steps, and the scheduler", own - result.seconds)]
    waits = [_timed("wait for the prefills of other requests", first - own)] if first > own else []
    whole = _timed("time to the first token", first, [_timed("prefill of the prompt", own, parts), *waits])
    return {"tree": whole, "notes": _fits(result)}


def _fits(result: Latency) -> list[str]:
    """Return where the efficiencies of kernels were measured."""
    return [f"kernel fits: {'; '.join(result.measured_on)}"] if result.measured_on else []


def branch(label: str, text: str, children: Sequence[dict[str, Any]] = (), **more: str) -> dict[str, Any]:
    """Return a tree whose value is a text."""
    return {"label": label, "text": text, **more, "children": [*children]}


def _timed(label: str, seconds: float, children: Sequence[dict[str, Any]] = (), note: str = "") -> dict[str, Any]:
    return branch(label, duration(seconds), children, note=note)


def lines(label: str, text: str, *rows: tuple[str, str, str] | dict[str, Any]) -> dict[str, Any]:
    """Return the tree of a number from the texts of its rows: their names, values and notes, or their trees."""
    own = [row if isinstance(row, dict) else dict(zip(("label", "text", "note"), row, strict=True)) for row in rows]
    return {"tree": branch(label, text, own)}


def _throughput(case: Case) -> dict[str, Any]:
    if case.only_reads:
        rate = three_digits(case.reading.requests_per_s)
        return {"tree": branch("texts per second", rate, [_batches(case)], formula="texts of a batch / its time")}
    requests = float(case.serving.time.requests_per_s)
    return lines(
        "tokens per second", three_digits(case.tokens_per_s),
        ("requests per second of a replica", three_digits(requests), "a request leaves after "
         "its prefill, its decode steps and the prefills of the others"),
        ("output tokens of a request", f"{case.answer:,}", ""),
        ("replicas", f"{case.replicas:,}", ""),
    )  # fmt: skip


def _batches(case: Case) -> dict[str, Any]:
    """Return the derivation of the time of a batch of texts."""
    return {**node_data(latency_tree(case.reading.step)), "label": f"time of a batch of {case.reading.batch:,} texts"}


def _cost(case: Case) -> dict[str, Any]:
    found = case.reading if case.only_reads else case.serving
    price, cost = found.price, found.usd_per_million
    if case.only_reads:
        rate, tokens, timed = case.reading.tokens_per_s / case.reading.used, "tokens", "batch"
    else:
        rate = case.serving.tokens_per_s_gpu * (case.prompt + case.answer) / case.answer
        tokens, timed = "tokens of input and output", "output token"
    if price is None or cost is None:
        return lines("cost", "unknown", ("price of a GPU", "unknown", ""))
    return lines(
        f"price of a million {tokens}", dollars(cost),
        ("price of a GPU", f"{dollars((price.low, price.high))} per hour", price.source),
        (tokens, f"{three_digits(rate)} per second and GPU", ""),
        ("interval", f"× {three_digits(found.width)}", f"of the time per {timed}, towards both ends"),
    )  # fmt: skip


def _capacity(case: Case) -> dict[str, Any]:
    serving = case.serving
    memory = serving.point.start.memory if serving.point.start else None
    space = readable(round(memory.available.best), "bytes") if memory else "what the weights leave"
    return lines(
        "requests at once", f"{case.capacity:,}",
        ("KV cache", space, f"as {serving.engine_title} divides the memory of a GPU"),
        ("tokens of a running request", f"{serving.held_tokens:,.0f}", "on average, with those that it reserves"),
        ("replicas", f"{case.replicas:,}", ""),
    )  # fmt: skip


TIMES: dict[str, Callable[[Case], dict[str, Any]]] = {
    "latency": _latency, "prefill": _prefill, "throughput": _throughput, "cost": _cost, "capacity": _capacity,
}  # fmt: skip

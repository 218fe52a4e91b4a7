"""Charts of a state: the roofline, memory and speed against the context and the users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ...core.errors import LlmcalcError
from ...report.fit import fit_document
from ...report.latency import roofline
from ...report.numbers import BYTES, readable
from ...report.pictures import Axis, Bars, Chart, Curve, Mark, Picture
from ...report.svg import WIDTH, draw
from .state import Case

SHORTEST, LEAST_STEPS = 512, 8  # tokens, and points of a curve
NARROWEST, WIDEST = 240.0, 1600.0  # pixels
USERS = tuple(2**power for power in range(9))
TOKENS = Axis("tokens per user", "tokens", True)


def charts(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the charts as SVG, by name. A chart that the model does not allow has an ``error``."""
    try:
        width = min(max(float(asked.get("width") or WIDTH), NARROWEST), WIDEST)
    except (TypeError, ValueError):
        width = WIDTH
    made = {"memory": bars, "roofline": step_roofline, "memory_context": memory_curve, "speed_context": speed_curve,
            "users": user_curve}  # fmt: skip
    names = asked.get("charts") or made
    return {name: _drawn(made[name], case, width) for name in names if name in made}


def _drawn(make: Any, case: Case, width: float) -> dict[str, str]:
    try:
        picture: Picture = make(case)
    except LlmcalcError as error:
        return {"error": str(error)}
    return {"svg": draw(picture, width), "title": picture.title, "csv": points(picture)}


def points(picture: Picture) -> str:
    """Return the points of a picture as CSV."""
    from ...report.document import Column, Document, Table
    from ...report.formats.csv import render

    heads: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = []
    if isinstance(picture, Chart):
        heads = ("curve", picture.x.title, picture.y.title)
        rows = [(curve.name, x, y) for curve in picture.curves for x, y in curve.points]
        rows += [(mark.label, mark.x, mark.y) for mark in picture.marks]
    elif isinstance(picture, Bars):
        heads = ("bar", "part", picture.kind)
        rows = [(bar.label, name, size) for bar in picture.bars for name, size in bar.parts]
    columns = tuple(Column(title, "name") for title in heads)
    return render(Document(picture.title, dict, tables=(Table("", columns, rows),)))


def bars(case: Case) -> Picture:
    """Return the bar of the memory of a GPU against its size."""
    return fit_document(case.fit).pictures()[0]


def step_roofline(case: Case) -> Picture:
    """Return the roofline with a decode step and a prefill."""
    return roofline(case.latency)


def lengths(case: Case) -> list[int]:
    """Return powers of two up to the longest request of the model, and the chosen length."""
    most = min(case.longest or 2**17, max(2**20, case.context))
    found, size = set(), min(SHORTEST, most)
    while size <= most:
        found.add(size)
        size *= 2
    return sorted({*found, most, min(case.context, most)})


def memory_curve(case: Case) -> Picture:
    """Return the memory of a GPU against the context, with the layout of the state."""
    found, sizes = case.fit, lengths(case)
    needed = tuple((float(size), float(case.fit_of(size).needed + found.reserve)) for size in sizes)
    weights = float(found.result.weights - found.result.host)
    curves = (Curve("needed", needed), Curve("weights", tuple((float(size), weights) for size in sizes)))
    here = Mark("here", float(case.context), float(found.needed + found.reserve))
    level = (f"{case.gpu.title}: {readable(found.memory, BYTES)}", float(found.memory))
    title = f"Memory per GPU against context, {_users(case)}"
    return Chart(title, TOKENS, Axis("bytes", BYTES), curves, (here,), (level,))


def speed_curve(case: Case) -> Picture:
    """Return the tokens per second of a user against the context, with the interval."""
    rates: list[tuple[float, float, float, float]] = []
    for size in lengths(case):
        answer = max(min(case.answer, size // 2), 1)
        with suppress(LlmcalcError):
            result = case.serving_of(max(size - answer, 1), answer)
            if result.all_run and result.tpot_s and result.tpot_low_s and result.tpot_high_s:
                rates.append((float(size), 1 / result.tpot_high_s, 1 / result.tpot_s, 1 / result.tpot_low_s))
    if not rates:
        raise LlmcalcError("no context of these users fits")
    names = ("low", "estimate", "high")
    curves = [Curve(name, tuple((row[0], row[at]) for row in rates)) for at, name in enumerate(names, 1)]
    order = (curves[1], curves[2], curves[0])
    marks = tuple(Mark("here", row[0], row[2]) for row in rates if row[0] == case.context)
    title = f"Speed of a user against context, {_users(case)}"
    return Chart(title, TOKENS, Axis("tokens/s per user", "count"), order, marks)


def user_curve(case: Case) -> Picture:
    """Return the tokens per second of a GPU against those of a user, for numbers of users that run at once."""
    rows = [*_loads(case)]
    if not rows:
        raise LlmcalcError("no number of users fits")
    line = Curve(f"{case.context:,} tokens", tuple((rate, total) for _, rate, total in reversed(rows)))
    marks = tuple(Mark(f"{users:,}", rate, total) for users, rate, total in rows)
    title = "Throughput against speed, by users at once"
    x, y = Axis("tokens/s per user", "count"), Axis("tokens/s per GPU", "count", True)
    return Chart(title, x, y, (line,), marks)


def _loads(case: Case) -> Iterator[tuple[int, float, float]]:
    most = int(case.serving.time.capacity * case.serving.mesh.dp)
    for users in sorted({*USERS, case.users, most}):
        result = case.serving_of(case.prompt, case.answer, users) if 0 < users <= most else None
        if result and result.all_run and result.tokens_per_s_user:
            yield users * case.replicas, result.tokens_per_s_user, result.tokens_per_s_gpu


def _users(case: Case) -> str:
    return "one user" if case.state.users == 1 else f"{case.state.users:,} users"

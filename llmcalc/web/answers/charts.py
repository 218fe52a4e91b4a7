"""Charts of a state: the roofline, memory and speed against the context and the users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count, takewhile
from typing import Any

from ...calc.sharding import Mesh
from ...core.errors import LlmcalcError
from ...core.interval import Interval
from ...core.record import changed
from ...report.document import Column, Document, Table
from ...report.fit import fit_document, memory_parts
from ...report.formats.csv import render
from ...report.latency import roofline
from ...report.numbers import BYTES, readable
from ...report.pictures import Axis, Bars, Chart, Curve, Mark, Picture
from ...report.points import sizes_of, sizes_text
from ...report.svg import WIDTH, draw
from .case import Case, needed_span, said, speeds_of
from .state import listed
from .view import view_of

SHORTEST, LEAST = 512, 16  # tokens
MOST_SHOWN = 1.5  # of the memory of a GPU
NARROWEST, WIDEST = 240.0, 1600.0  # pixels
USERS = tuple(2**power for power in range(9))


def charts(case: Case, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the charts that are asked for, or all, as SVG. One that the model does not allow has an ``error``."""
    known = view_of(case).charts
    return {name: _made(known[name], case, asked) for name in listed(asked, "charts") or known if name in known}


def _made(make: Callable[[Case], Picture], case: Case, asked: Mapping[str, Any]) -> dict[str, str]:
    try:
        return drawn(make(case), asked)
    except LlmcalcError as error:
        return {"error": said(error)}


def drawn(picture: Picture, asked: Mapping[str, Any]) -> dict[str, str]:
    """Return a picture as SVG in the width that is asked for, with its title and its points as CSV."""
    try:
        width = min(max(NARROWEST, float(asked.get("width") or WIDTH)), WIDEST)  # NARROWEST if not a number
    except (TypeError, ValueError, OverflowError):
        width = WIDTH
    return {"svg": draw(picture, width), "title": picture.title, "csv": points(picture)}


def points(picture: Picture) -> str:
    """Return the points of a picture as CSV."""
    if isinstance(picture, Bars):
        heads: tuple[str, ...] = ("bar", "part", picture.kind)
        rows: list[tuple[Any, ...]] = [(bar.label, name, size) for bar in picture.bars for name, size in bar.parts]
    else:
        assert isinstance(picture, Chart)
        heads = ("curve", picture.x.title, picture.y.title)
        rows = [(curve.name, x, y) for curve in picture.curves for x, y in curve.points]
        rows += [(mark.label, mark.x, mark.y) for mark in picture.marks]
    columns = tuple(Column(title, "name") for title in heads)
    return render(Document(picture.title, dict, tables=(Table("", columns, rows),)))


def bars(case: Case) -> Picture:
    """Return the bar of the memory of a GPU against its size."""
    return fit_document(case.fit).pictures()[0]


def step_roofline(case: Case) -> Picture:
    """Return the roofline with a decode step and a prefill."""
    return _unnamed(roofline(case.latency))


def _unnamed(chart: Chart) -> Chart:
    """Return a chart of one curve, which needs no name."""
    return changed(chart, curves=(changed(chart.curves[0], name=""),))


def lengths(case: Case) -> list[int]:
    """Return powers of two up to the longest request of the model, and the chosen length."""
    most = min(case.longest or 2**17, max(2**20, case.context))
    shortest = max(min(SHORTEST, most // 64), LEAST)
    powers = takewhile(lambda size: size <= most, (shortest << power for power in count()))
    return sorted({*powers, most, min(case.context, most)})


def memory_curve(case: Case) -> Picture:
    """Return the memory of a GPU against the context, with the layout of the state and the interval of the engine's own
    memory.
    """
    found, needed = case.fit, dict[float, Interval]()
    for size in lengths(case):
        needed[float(size)] = span = needed_span(case.fit_of(size))
        if span.best > MOST_SHOWN * found.memory and size >= case.context:
            break
    is_whole = not (found.start and found.start.automatic)
    weights = float(memory_parts(found)["weights"] if is_whole else found.result.weights - found.result.host)
    cases = {"needed": 1, "high": 2, "low": 0} if found.start else {"needed": 1}
    curves = [Curve(name, tuple((size, span[at]) for size, span in needed.items())) for name, at in cases.items()]
    curves.append(Curve("weights", tuple((size, weights) for size in needed)))
    here, where, name = Mark("", float(case.context), needed_span(found).best), "plain memory", "GPU"
    if found.start:
        where, name = found.start.profile.title, f"{found.start.profile.title} uses"
    usable = found.usable if found.start else found.memory
    level = (f"{name}: {readable(usable, BYTES)}", float(usable))
    title = f"Memory per GPU against context, {where}, {_users(case)}"
    return Chart(title, _tokens(case), Axis("bytes", BYTES), tuple(curves), (here,), (level,))


def speed_curve(case: Case) -> Picture:
    """Return the tokens per second of a user, or the texts that a model reads, against the context, with intervals."""
    found = {size: speed for size in lengths(case) if (speed := _speed(case, size))}
    if not found:
        raise case.time_error or LlmcalcError("no context fits with this number of users")
    low, best, high = (
        Curve(name, tuple((float(size), speed[at]) for size, speed in found.items()))
        for at, name in enumerate(("low", "estimate", "high"))
    )
    marks = tuple(Mark("", float(size), speed[1]) for size, speed in found.items() if size == case.context)
    subject, unit = ("Speed", "texts/s") if case.only_reads else ("Speed of a user", "tokens/s per user")
    return Chart(
        f"{subject} against context, {_users(case)}", _tokens(case), Axis(unit, "count"), (best, high, low), marks
    )


def _speed(case: Case, context: int) -> tuple[float, float, float] | None:
    """Return the lowest, the estimated and the highest speed at a context, or None if not all users run at once."""
    with suppress(LlmcalcError):
        if case.only_reads:
            read = case.reading_of(context, case.state.users)
            return read.requests_per_s / read.width, read.requests_per_s, read.requests_per_s * read.width
        answer = max(min(case.answer, context // 2), 1)
        result = case.serving_of(max(context - answer, 1), answer)
        return speeds_of(result) if result.all_run else None
    return None


def user_curve(case: Case) -> Picture:
    """Return the tokens per second of a GPU against those of a user: a curve per layout, over numbers of users."""
    if case.only_reads:
        return _batch_curve(case)
    found = {name: [*_loads(case, replica)] for name, replica in _replicas(case).items()}
    curves = tuple(
        Curve(name, tuple((rate, total) for _, rate, total in reversed(rows))) for name, rows in found.items() if rows
    )
    if not curves:
        raise LlmcalcError("not even one user fits")
    chosen = found[next(iter(found))] or next(rows for rows in found.values() if rows)
    marks = tuple(Mark(f"{users:,}", rate, total) for users, rate, total in chosen)
    title = f"Throughput against speed, by users with {case.context:,} tokens"
    x, y = Axis("tokens/s per user", "count"), Axis("tokens/s per GPU", "count", True)
    whole = Chart(title, x, y, curves, marks)
    return whole if len(curves) > 1 else _unnamed(whole)


def _batch_curve(case: Case) -> Picture:
    """Return the texts per second of a model that only reads, against the number of texts."""
    rates = {users: case.reading_of(case.context, users).requests_per_s for users in sorted({*USERS, case.state.users})}
    curve = Curve("", tuple((float(users), rate) for users, rate in rates.items()))
    here = Mark("", float(case.state.users), rates[case.state.users])
    title = f"Throughput against texts at once, with {case.context:,} tokens each"
    return Chart(title, Axis("texts at once", "count", True), Axis("texts/s", "count"), (curve,), (here,))


def _replicas(case: Case) -> dict[str, Mesh]:
    """Return layouts of a replica by name: the one in which the model fits, and tensor-parallel ranks."""
    own, n, found = case.layout, case.state.n, dict[str, Mesh]()
    for mesh in (own, *(Mesh(tp=tp) for tp in (1, 2, 4, 8) if n % tp == 0)):
        found.setdefault(sizes_text(sizes_of(mesh), n // mesh.ranks), mesh)
    return found


def _loads(case: Case, mesh: Mesh) -> Iterator[tuple[int, float, float]]:
    """Yield the numbers of users of all replicas with the tokens per second of a user and of a GPU."""
    replicas, most = case.state.n // mesh.ranks, 0
    with suppress(LlmcalcError):
        time = case.serving_of(case.prompt, case.answer, 1, mesh).time
        most = int(time.capacity * time.n_batches)
        most = min(most, case.capacity // replicas) if mesh == case.layout else most
    own = {case.users, most} if mesh == case.layout else {most}
    for users in sorted({*USERS, *own}):
        result = case.serving_of(case.prompt, case.answer, users, mesh) if 0 < users <= most else None
        if result and result.all_run and result.tokens_per_s_user:
            yield users * replicas, result.tokens_per_s_user, result.tokens_per_s_gpu


def _tokens(case: Case) -> Axis:
    return Axis(f"tokens per {'text' if case.only_reads else 'user'}", "tokens", True)


def _users(case: Case) -> str:
    return counted(case.state.users, "text" if case.only_reads else "user")


def counted(number: int, what: str) -> str:
    """Return a number of things, such as ``one user``."""
    return f"one {what}" if number == 1 else f"{number:,} {what}s"


CHARTS: dict[str, Callable[[Case], Picture]] = {
    "memory": bars, "roofline": step_roofline, "memory_context": memory_curve, "speed_context": speed_curve,
    "users": user_curve,
}  # fmt: skip

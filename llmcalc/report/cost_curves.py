"""Plots of FLOPs per token, state size and serving memory against context length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from ..calc.flops import flops
from ..calc.kv_cache import state
from ..core.architecture import Architecture
from ..core.workload import positions
from .document import Cell, Column, Document, Table, columns
from .fit import memory_limit
from .numbers import BYTES
from .pictures import Axis, Bar, Bars, Chart, Curve, Mark, crossings, parts_of
from .served_model import ServedModel

TOKENS = Axis("tokens of context (k = 1,024)", "tokens", True)
CORE, REST = "attention scores and mix", "everything else"
_CORE_SUFFIX = " core"  # components whose FLOPs grow with query-key pairs
Measure = Callable[[Architecture, int], float]


def lengths_for(model: Architecture, lengths: Sequence[int]) -> list[int]:
    """Return the context lengths that do not exceed the model's number of learned positions."""
    limit = positions(model)
    return [length for length in lengths if limit is None or length <= limit]


def flops_document(models: Sequence[Architecture], lengths: Sequence[int]) -> Document:
    """Plot the average forward FLOPs per token. For a single model, attention and other FLOPs are also plotted."""
    curves = [_curve(model.name, model, lengths, _per_token) for model in models]
    if len(models) == 1:
        curves = [_curve(CORE, models[0], lengths, _core), _curve(REST, models[0], lengths, _rest), *curves]
    return _document("FLOPs per token", "FLOPs", curves, "forward pass, averaged over the sequence")


def state_document(models: Sequence[Architecture], lengths: Sequence[int]) -> Document:
    """Plot the KV cache and recurrent state size per sequence against context length."""
    curves = [_curve(model.name, model, lengths, lambda one, seq: state(one, seq=seq).bytes) for model in models]
    return _document("State per sequence", BYTES, curves, "KV cache in bf16, recurrent states in fp32")


def memory_document(served: ServedModel, lengths: Sequence[int]) -> Document:
    """Plot serving memory against context length, with a line that marks the memory of a GPU."""
    rows: list[tuple[Cell, ...]] = []
    bars, parts, limit = [], dict[str, int](), None
    for length in lengths_for(served.model, lengths):
        parts, found = served.parts(length), served.fit(length)
        bars.append(Bar(f"{length:,} tokens", parts_of(parts)))
        fits = ("yes" if found.fits else "no",) if found else ()
        rows.append((length, *parts.values(), sum(parts.values()), *fits))
        limit = memory_limit(found) if found else None
    sizes = [f"{name}: bytes 1" for name in parts]
    heads = columns("tokens: number", *sizes, "total: bytes", *(("fits: name",) if limit else ()))
    picture = Bars(f"{served.model.name}: serving memory", BYTES, tuple(bars), limit)
    return Document(
        f"Serving memory of {served.model.name}, batch {served.batch}",
        dict,
        subtitle=(served.formats,),
        tables=(Table("", heads, rows),),
        pictures=lambda: (picture,) if bars else (),
    )


def _curve(name: str, model: Architecture, lengths: Sequence[int], measure: Measure) -> Curve:
    return Curve(name, tuple((float(s), float(measure(model, s))) for s in lengths_for(model, lengths)))


def _per_token(model: Architecture, seq: int) -> float:
    return flops(model, seq=seq).total / seq


def _core(model: Architecture, seq: int) -> float:
    parts = flops(model, seq=seq).by_component
    return sum(count.total for name, count in parts.items() if name.endswith(_CORE_SUFFIX)) / seq


def _rest(model: Architecture, seq: int) -> float:
    return _per_token(model, seq) - _core(model, seq)


def _document(title: str, kind: str, curves: Sequence[Curve], about: str) -> Document:
    drawn = [curve for curve in curves if curve.points and all(y > 0 for _, y in curve.points)]
    marks = list(_crossings(drawn))
    chart = Chart(title, TOKENS, Axis(kind, kind, True), tuple(drawn), tuple(mark for _, mark in marks))
    names = ", ".join(curve.name for curve in curves if curve not in drawn)
    unit = f"about {BYTES}" if kind == BYTES else "about"
    heads = columns("curves: name", "tokens (approximate): about", f"{kind}: {unit}")
    rows = [(name, mark.x, mark.y) for name, mark in marks]
    return Document(
        title,
        dict,
        subtitle=(about,),
        tables=(_table(drawn, unit), Table("crossings, interpolated between the points above", heads, rows)),
        pictures=lambda: (chart,) if drawn else (),
        notes=(f"no values to plot for {names}" if names else "",),
    )


def _crossings(curves: Sequence[Curve]) -> Iterator[tuple[str, Mark]]:
    for one, other in combinations(curves, 2):
        for mark in crossings(one, other, ""):
            yield f"{one.name} and {other.name}", Mark(f"{mark.x:,.0f} tokens", mark.x, mark.y)


def _table(curves: Sequence[Curve], unit: str) -> Table:
    lengths = sorted({x for curve in curves for x, _ in curve.points})
    values: list[dict[float, float]] = [dict(curve.points) for curve in curves]
    rows = [(int(x), *(own.get(x) for own in values)) for x in lengths]
    return Table("", (Column("tokens", "number"), *(Column(curve.name, unit) for curve in curves)), rows)

"""Report for ``sweep`` with a table of all points and a chart of every quantity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log
from typing import TYPE_CHECKING, Any

from ..analysis.axes import Axis as GridAxis
from ..analysis.axes import check_points
from ..analysis.quantity import value_of
from ..analysis.sweep import Sweep
from .document import Column, Document, Table
from .heading import formula_note, model_document, named_values, title
from .memory import mesh_line, plain_data
from .numbers import ABOUT, BYTES

if TYPE_CHECKING:
    from .pictures import Picture

MOST_ROWS = 100_000
STEEP = 8  # an axis is logarithmic if the ratio of its last to first value exceeds this
TOKENS = ("seq", "target_seq", "context")
LINEAR_UP_TO = 100  # a bar chart is logarithmic if the ratio of its largest to smallest value exceeds this


def check_rows(axes: Sequence[GridAxis]) -> None:
    """Raise an error if a sweep has more points than a report prints."""
    check_points(axes, MOST_ROWS, f"at most {MOST_ROWS:,} points are printed; llmcalc.sweep in Python returns arrays")


def sweep_document(result: Sweep) -> Document:
    """Build the sweep report."""
    check_rows(result.axes)
    varied = ", ".join(f"{axis.name} ({len(axis.values)})" for axis in result.axes)
    axes = {axis.name for axis in result.axes}
    fixed = {name: value for name, value in result.fixed.items() if value not in (None, False) and name not in axes}
    fixed_line = f"fixed: {' · '.join(f'{name} {value}' for name, value in fixed.items())}"
    return model_document(
        result.architecture,
        "sweep",
        lambda: _json(result),
        f": {result.points} points over {varied}",
        workload=result.largest,
        lines=(fixed_line, *_settings(result)),
        tables=(_table(result),),
        listing=lambda: _table(result, with_bars=False),
        pictures=lambda: _pictures(result),
        notes=[formula_note(name, form) for name, form in result.forms.items() if form.symbols()],
        details=("floating-point values have a relative error of about 1e-15; k is 1024",),
    )


def _pictures(result: Sweep) -> list[Picture]:
    """Plot each quantity against the longest numeric axis, with one curve per combination of the other axes'
    values.
    """
    numeric = [at for at, axis in enumerate(result.axes) if all(type(value) is int for value in axis.values)]
    longest = max(numeric, key=lambda at: len(result.axes[at].values), default=-1)
    if longest < 0 or len(result.axes[longest].values) < 2:
        return []
    return [picture for name in result.values for picture in _chart(result, name, longest)]


def _chart(result: Sweep, name: str, longest: int) -> Iterator[Picture]:
    """Yield the chart of a value, unless no curve has two points that were not skipped."""
    from .pictures import Axis, Chart, Curve

    axis, place = result.axes[longest], list(result.values).index(name)
    points: dict[tuple[int, ...], list[tuple[float, float]]] = {}
    for sizes, values, _ in result.rows():
        if (value := values[place]) is not None:
            others = (*sizes[:longest], *sizes[longest + 1 :])
            points.setdefault(others, []).append((float(sizes[longest]), value))
    named = [other.name for other in (*result.axes[:longest], *result.axes[longest + 1 :])]
    curves = [Curve(_point(named, others) or name, tuple(own)) for others, own in points.items() if len(own) > 1]
    if not curves:
        return
    xs, ys = zip(*(point for curve in curves for point in curve.points), strict=True)
    wide = min(ys) > 0 and max(ys) / min(ys) > STEEP
    across = Axis(axis.name, "tokens" if axis.name in TOKENS else "count", min(xs) > 0 and max(xs) / min(xs) > STEEP)
    yield Chart(f"{title(result.architecture)}: {name}", across, Axis(_title(name), _unit(name), wide), tuple(curves))


def _settings(result: Sweep) -> tuple[str, str]:
    """Return one line with the non-default memory settings and one line with the mesh."""
    hidden = {"mesh", "convention", "master", *(axis.name for axis in result.axes)}
    settings = {
        name: ", ".join(value) if isinstance(value, list) else value
        for name, value in result.memory.items()
        if name not in hidden and value not in (None, False)
    }
    ranks = mesh_line(result.memory["mesh"]) if result.memory.get("mesh") else ""
    return (f"memory: {named_values(settings)}" if settings else "", ranks)


def _table(result: Sweep, *, with_bars: bool = True) -> Table:
    """Return a table of all values with bars, on a logarithmic scale if they span more than two orders of magnitude."""
    heads = [Column(axis.name, "number" if type(axis.values[0]) is int else "name") for axis in result.axes]
    places, points, reasons = zip(*result.rows(), strict=True)
    columns: list[Sequence[Any]] = [*zip(*places, strict=True)]
    for name, values in zip(result.values, zip(*points, strict=True), strict=True):
        scale, shares = _bars(values) if with_bars else ("", [])
        heads += [Column(_title(name), _kind(name)), *([Column(scale, "bar")] if with_bars else [])]
        columns += [values, *([shares] if with_bars else [])]
    if result.reasons:
        heads, columns = [*heads, Column("reason")], [*columns, reasons]
    return Table("", tuple(heads), [*zip(*columns, strict=True)])


def _point(names: Sequence[str], values: Sequence[object]) -> str:
    """Return the label of a point, such as ``seq 1,024 · weights nf4``."""
    texts = (f"{value:,}" if type(value) is int else str(value) for value in values)
    return " · ".join(f"{name} {text}" for name, text in zip(names, texts, strict=True))


def _title(name: str) -> str:
    unit = _unit(name)
    return name if name.endswith(unit) else f"{name} ({unit})"


def _unit(name: str) -> str:
    return value_of(name).unit


def _kind(name: str) -> str:
    return f"{ABOUT} {BYTES}" if _unit(name) == BYTES else ABOUT


def _bars(values: Sequence[float | None]) -> tuple[str, list[float]]:
    """Return the name of a scale and the length of the bar of each value as a fraction."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    if low > 0 and high / low > LINEAR_UP_TO:
        return "logarithmic", [0.1 + 0.9 * log(value / low) / log(high / low) if value else 0.0 for value in values]
    return "from zero", [value / high if value and high else 0.0 for value in values]


def _json(result: Sweep) -> tuple[dict[str, Any], dict[str, Any]]:
    memory = {name: plain_data(value) for name, value in result.memory.items()}
    axes = [{"name": axis.name, "values": list(axis.values)} for axis in result.axes]
    units = {name: _unit(name) for name in result.values}
    data = {**result.to_dict(), "axes": axes, "units": units, "exact": result.exact}
    return {**result.fixed, "memory": memory, "exact": result.exact}, data

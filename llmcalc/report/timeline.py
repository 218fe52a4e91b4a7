"""Report for ``timeline`` with the parameters and training compute of models by year.

Each row states whether the compute is published or estimated as 6·N·D from the published token count.
Growth rates are least-squares fits to the logarithm of each year's largest value. They describe only the
listed models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import log2
from statistics import linear_regression
from typing import TYPE_CHECKING, Any

from ..calc.params import params
from ..core.architecture import Architecture, TrainingFact, declare
from ..core.errors import spelled
from ..core.ledger import entries
from ..core.record import fields, record
from ..schema.preset import load_file
from .document import Document, Fact, Table, table_of
from .flops import TRAIN_RULE
from .json_envelope import envelope
from .search import stack_roles

if TYPE_CHECKING:
    from .pictures import Picture

RULE = "6·N·D"
FEWEST = 3  # minimum number of years for a trend
MONTHS = 12


@record
class Point:
    """A model in the timeline. ``flops`` is None if neither compute nor tokens are published."""

    name: str
    year: int
    group: str
    total: int
    active: int
    status: str
    tokens: int | None = None
    flops: int | None = None
    source: str = ""


def points(presets: Iterable[dict[str, Any]], everything: bool) -> Iterator[Point]:
    """Return one point per model size, or only the largest size of each family."""
    for preset in presets:
        if preset["year"] is None:
            continue
        found = [_point(load_file(preset["file"], size), preset["year"]) for size in preset["sizes"] or [None]]
        yield from found if everything else [max(found, key=lambda point: point.total)]


def _point(model: Architecture, year: int) -> Point:
    count = params(model)
    facts = {fact.quantity: fact for fact in reversed(model.facts)}
    tokens, compute = facts.get("training_tokens"), facts.get("training_flops")
    n_tokens = _whole(tokens) if tokens else None
    flops, source = None, ""
    if compute:
        flops, source = _whole(compute), compute.source
    elif tokens and n_tokens:  # with active parameters including embeddings, as most papers do [brown2020, Table D.1]
        flops, source = TRAIN_RULE * count.active * n_tokens, f"{RULE}, {tokens.source}"
    return Point(model.name, year, _group(model), count.total, count.active, model.status, n_tokens, flops, source)


def _whole(fact: TrainingFact) -> int:
    """Convert a published number such as 3.14e23 to an exact integer."""
    from decimal import Decimal

    return int(Decimal(str(fact.value)))


def _group(model: Architecture) -> str:
    layers = [entry.layer for entry in entries(model) if entry.run is not None]
    if any(declare(layer).routed_experts for layer in layers):
        return "mixture of experts"
    if any(layer.IS_RECURRENT for layer in layers):
        return "state space, recurrent, hybrid"
    return stack_roles(model)


def doubling_months(found: Sequence[Point], attribute: str) -> float | None:
    """Return the doubling time in months of each year's largest value, or None if there is no growth."""
    values = [(point.year, getattr(point, attribute)) for point in found if getattr(point, attribute)]
    largest = {year: max(value for own, value in values if own == year) for year, _ in values}
    if len(largest) < FEWEST:
        return None
    slope = linear_regression([*largest], [*map(log2, largest.values())]).slope
    return MONTHS / slope if slope > 0 else None


def timeline_document(found: Sequence[Point], everything: bool) -> Document:
    """Build the timeline report, with one row per model ordered by year and size."""
    ordered = sorted(found, key=lambda point: (point.year, point.total, point.name))
    years = f"{ordered[0].year} to {ordered[-1].year}" if ordered else "no model matches"
    largest = spelled("the largest size of each family ({everything=True} shows all sizes)")
    return Document(
        f"{len(ordered)} models, {years}",
        lambda: _json(ordered),
        subtitle=("every size" if everything else largest,),
        warnings=tuple(
            f"{point.name} is unpublished; its sizes may be wrong" for point in ordered if point.status != "published"
        ),
        facts=tuple(_facts(ordered)),
        tables=(_table(ordered),),
        notes=(
            "training FLOPs are as published, or 6·N·D with N active parameters including embeddings and D tokens",
            "growth: least-squares fit to the largest model of each year in this list; neither a law nor a forecast",
        ),
        pictures=lambda: [*_pictures(ordered)],
    )


def _facts(ordered: Sequence[Point]) -> Iterator[Fact]:
    for label, attribute in (("parameters", "total"), ("training FLOPs", "flops")):
        if months := doubling_months(ordered, attribute):
            note = "estimated from the largest model of each year"
            yield Fact(f"{label} double every", f"{months:.1f}", "months", note)


def _table(ordered: Sequence[Point]) -> Table:
    return table_of("", ordered, {
        "year: number": "year", "model: name": "name", "parameters: about": "total",
        "active: about 2": lambda point: point.active if point.active != point.total else None,
        "tokens: about 1": "tokens", "training FLOPs: about": "flops", "source of FLOPs: name 3": "source",
    })  # fmt: skip


def _pictures(ordered: Sequence[Point]) -> Iterator[Picture]:
    from .pictures import Axis, Mark, Scatter

    for title, attribute, kind in (("Parameters", "total", "count"), ("Training compute", "flops", "FLOPs")):
        groups: dict[str, list[Mark]] = {point.group: [] for point in ordered}  # the same colours in every plot
        for point in sorted(ordered, key=lambda point: -(getattr(point, attribute) or 0)):
            if size := getattr(point, attribute):
                groups[point.group].append(Mark(point.name, point.year, size))
        if any(groups.values()):
            named = tuple((name, tuple(groups[name])) for name in sorted(groups))
            unit = "parameters" if attribute == "total" else "FLOPs"
            yield Scatter(f"{title} of models", Axis("year", "year"), Axis(unit, kind, True), named)


def _json(ordered: Sequence[Point]) -> dict[str, Any]:
    return envelope("timeline", {}, {
        "models": [{field.name: getattr(point, field.name) for field in fields(Point)} for point in ordered],
        "doubling_months": {name: doubling_months(ordered, name) for name in ("total", "flops")},
        "evidence": {"models": "measured", "doubling_months": "fitted"},
    })  # fmt: skip

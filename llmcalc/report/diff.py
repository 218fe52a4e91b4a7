"""Document of ``diff``: where two architectures differ, and by how many parameters."""

from __future__ import annotations

from typing import Any

from ..calc.params import Params
from ..core.record import record
from .architecture_diff import Difference, differences
from .compare import QUANTITIES
from .document import Column, Document, Fact, Table
from .json_envelope import envelope, model_inputs
from .model import title, warnings
from .params import CONVENTIONS, UNIT


@record
class Diff:
    """Two counted models and every difference of their architectures."""

    first: Params
    second: Params
    found: list[Difference]

    @property
    def same(self) -> bool:
        """Whether both are one architecture, whatever they are called and however they are stored."""
        return not self.found


def diff(first: Params, second: Params) -> Diff:
    """Compare two models.

    What the parts that are compared do not show is still a difference: then the whole is one.
    """
    one, other = first.architecture, second.architecture
    found = differences(one, other)
    if not found and (one.stacks, one.extras) != (other.stacks, other.extras):
        found = [Difference("", "names of parts", one.name, other.name)]
    return Diff(first, second, found)


def diff_document(result: Diff) -> Document:
    """One row per difference, then the quantities and components that differ."""
    models = (result.first.architecture, result.second.architecture)
    names = _names(result)
    columns = (Column("part"), Column("what", "name"), *(Column(name) for name in names))
    tables = [Table("", columns, [tuple(entry) for entry in result.found])] if result.found else []
    counts = _counts(result)
    if counts:
        heading = (Column(UNIT, "name"), *(Column(name, "count") for name in names), Column("difference", "change"))
        rows: list[tuple[Any, ...]] = [(name, one, other, other - one) for name, (one, other) in counts.items()]
        tables.append(Table("", heading, rows))
    number = len(result.found)
    said = "the same architecture" if result.same else f"{number} difference{'s' * (number > 1)}"
    return Document(
        " · ".join(map(title, models)),
        lambda: _record(result),
        warnings=tuple(line for model in models for line in warnings(model)),
        facts=(Fact("verdict", said),),
        tables=tuple(tables),
    )


def _names(result: Diff) -> tuple[str, str]:
    one, other = result.first.architecture.name, result.second.architecture.name
    return (one, other) if one != other else (f"{one} #1", f"{other} #2")


def _counts(result: Diff) -> dict[str, tuple[int, int]]:
    """The quantities that differ, then the components."""
    one, other = result.first, result.second
    pairs = {name.replace("_", "-"): (getattr(one, name), getattr(other, name)) for name in QUANTITIES}
    for name in dict.fromkeys((*one.by_component, *other.by_component)):
        pairs[f"· {name}"] = (one.by_component.get(name, 0), other.by_component.get(name, 0))
    if pairs["active"] == pairs["total"]:
        del pairs["active"]
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _record(result: Diff) -> dict[str, Any]:
    counted = (result.first, result.second)
    models = [model_inputs(each.architecture) for each in counted]
    shown = [
        {"model": each.architecture.name, **{name: getattr(each, name) for name in QUANTITIES}} for each in counted
    ]
    answer = {
        "same": result.same,
        "differences": [entry._asdict() for entry in result.found],
        "models": shown,
        "difference": {name: getattr(result.second, name) - getattr(result.first, name) for name in QUANTITIES},
    }
    return envelope("diff", {"models": models, "conventions": CONVENTIONS}, answer)

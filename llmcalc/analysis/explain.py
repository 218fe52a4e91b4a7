"""Trees that show how quantities are derived. Each total is the sum of its children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..core.architecture import Architecture
from ..core.errors import InputError, UnknownNameError
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import Setting
from ..core.tree import Node
from ..core.workload import Workload
from ..inputs.effects import EffectCheck, check_effects
from ..inputs.models import Source, read_model
from ..inputs.settings import read_settings
from .quantity import Value, quantities, value_of, values

EXPLAIN = (Setting("quantity", str, "params"), Setting("depth", int, least=0), Setting("select", least=0))


@record
class Explanation(NotebookDisplay):
    """Derivation of a quantity. ``print`` displays the derivation as a tree.

    Attributes:
        architecture: model that was analysed.
        quantity: name of the quantity, such as ``params``.
        tree: complete derivation.
        roots: selected subtrees.
        workload: workload for which the quantity was computed, or None for parameter counts.
        total_evidence: class of evidence of the total.
    """

    architecture: Architecture
    quantity: str
    tree: Node
    roots: tuple[Node, ...]
    workload: Workload | None = None
    total_evidence: str = "exact"

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of the total."""
        return {value_of(self.quantity).name: self.total_evidence}

    @property
    def summary(self) -> str:
        """One-line summary of the total."""
        return f"{self.architecture.name} {self.quantity}: {self.tree.value:,} {self.tree.unit}"

    def __str__(self) -> str:
        return "\n".join(root.text() for root in self.roots)

    def to_dict(self) -> dict[str, Any]:
        """Return the derivation as a plain dictionary."""
        return {"trees": [root.to_dict() for root in self.roots], "evidence": self.evidence}


def derive(
    model: Source, quantity: str, depth: int | None, select: str | None, settings: Mapping[str, Any]
) -> Explanation:
    """Derive a quantity with settings that each have an effect on it."""
    value = value_of(quantity)
    found = value.quantity
    settings = read_settings(quantity, found.explained, settings)
    architecture = read_model(model)
    check_effects(found.explained, settings, architecture)
    result = found.measure(architecture, settings)
    tree = value.tree(result)
    named = replace(tree, label=f"{architecture.name} {quantity}")
    roots = tuple(_selected(tree, select)) if select else (named,)
    if not roots:
        raise UnknownNameError("part", select, [node.label for _, node in tree.walk()], parameter="select")
    rests_on: dict[str, str] = result.evidence
    total_evidence = rests_on.get(value.part) or next(iter(rests_on.values()))
    shown = tuple(_cut(root, depth) for root in roots)
    return Explanation(architecture, quantity, named, shown, workload_of(result), total_evidence)


@record
class Values:
    """Values of all quantities of a model. ``reasons`` says why values of a quantity are missing."""

    architecture: Architecture
    results: dict[str, Any]
    reasons: dict[str, InputError]

    @property
    def values(self) -> Iterator[tuple[Value, float]]:
        """Yield every value with its number. A step without gradients has none, for example."""
        for value in values():
            result = self.results.get(value.quantity.name)
            if result is not None and value.part in result.evidence:
                yield value, getattr(result, value.part)

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value."""
        return {value.name: self.results[value.quantity.name].evidence[value.part] for value, _ in self.values}


def evaluate_all(architecture: Architecture, settings: Mapping[str, Any]) -> Values:
    """Evaluate all quantities with settings that each have an effect on one of them."""
    asked = [each for each in quantities() if each.parts]
    own = tuple({setting.name: setting for each in asked for setting in each.settings}.values())
    settings = read_settings("any quantity", own, settings)
    effects, results, reasons = EffectCheck(), dict[str, Any](), dict[str, InputError]()
    for each in asked:
        effects.add(each.settings, settings, architecture)
        try:
            results[each.name] = each.measure(architecture, each.own(settings))
        except InputError as error:
            if error.parameter in settings:
                raise
            reasons[each.name] = error
    effects.finish()
    return Values(architecture, results, reasons)


def workload_of(result: Any) -> Workload | None:
    """Return the workload of a result, or None for parameter counts."""
    found: Workload | None = getattr(getattr(result, "step", result), "workload", None)
    return found


def _selected(node: Node, text: str, path: str = "") -> Iterator[Node]:
    """Yield the topmost nodes whose paths contain ``text``. Each node is labelled with its path."""
    here = f"{path} > {node.label}" if path else node.label
    if text.lower() in here.lower():
        yield replace(node, label=here)
        return
    for child in node.children:
        yield from _selected(child, text, here)


def _cut(node: Node, depth: int | None) -> Node:
    if depth is None or not node.children:
        return node
    if depth == 0:
        parts = f"{len(node.children)} parts below" if len(node.children) > 1 else "1 part below"
        return replace(node, children=(), note=parts if not node.note else f"{node.note}; {parts}")
    return replace(node, children=tuple(_cut(child, depth - 1) for child in node.children))

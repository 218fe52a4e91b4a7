"""The explanation is the result: a tree of labelled numbers in which every total is the sum of its children."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .record import record


@record
class Node:
    """A number with its derivation.

    Attributes:
        label: what it is.
        value: the number, in ``unit``.
        unit: ``params``, ``FLOPs``, ``bytes``, ``elements`` ...
        formula: the symbols, such as ``n_heads·d_head·d_model``.
        substituted: the formula with its values, such as ``96·128·12288``.
        meaning: which symbol stands for what, where it is not in the glossary.
        source: a citation key or a sentence.
        children: the parts; their values add up to ``value``.
    """

    label: str
    value: int
    unit: str = "params"
    formula: str = ""
    substituted: str = ""
    source: str = ""
    note: str = ""
    children: tuple[Node, ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        """(depth, node) in reading order."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; empty fields are left out."""
        data: dict[str, Any] = {"label": self.label, "value": self.value, "unit": self.unit}
        for name in ("formula", "substituted", "source", "note"):
            if getattr(self, name):
                data[name] = getattr(self, name)
        if self.children:
            data["children"] = [child.to_dict() for child in self.children]
        return data


def total(label: str, children: list[Node], unit: str = "params", **rest: str) -> Node:
    """A node whose value is the sum of its children's."""
    return Node(label, sum(child.value for child in children), unit, children=tuple(children), **rest)

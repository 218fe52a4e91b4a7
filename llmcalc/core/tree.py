"""Trees that break down totals into labelled numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .architecture import Stack
from .record import record
from .type_names import Any

Place = tuple[str, str, tuple[int, str], str]  # stack, section or block, number and name of the sub-layer, layer


@record
class Node:
    """A labelled number and its derivation.

    Attributes:
        unit: unit of the value, such as ``params``, ``FLOPs``, ``bytes`` or ``elements``.
        formula: symbolic formula, such as ``n_heads·d_head·d_model``.
        substituted: formula with values inserted, such as ``96·128·12288``.
        children: nodes whose values add up to ``value``.
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
        """Yield (depth, node) pairs in pre-order."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def text(self) -> str:
        """Format the tree as indented lines, each with a label, value, formula and note."""
        lines = []
        for depth, node in self.walk():
            formula = " = ".join(dict.fromkeys(filter(None, (node.formula, node.substituted))))
            note = "; ".join(filter(None, (node.note, node.source)))
            value = f"{node.label} = {node.value:,} {node.unit}"
            lines.append("  " * depth + value + f" = {formula}" * bool(formula) + f" ({note})" * bool(note))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as a plain dictionary without empty fields."""
        data: dict[str, Any] = {"label": self.label, "value": self.value, "unit": self.unit}
        data |= {name: text for name in ("formula", "substituted", "source", "note") if (text := getattr(self, name))}
        if self.children:
            data["children"] = [child.to_dict() for child in self.children]
        return data


def product_texts(factors: Iterable[tuple[str, int | float]]) -> tuple[str, str]:
    """Return the names and the values of named factors as products.

    >>> product_texts((("batch", 2), ("n_bytes", 0.5625)))
    ('batch·n_bytes', '2·0.5625')
    """
    texts = [(name, f"{value:.6g}" if isinstance(value, float) else str(value)) for name, value in factors]
    return "·".join(name for name, _ in texts), "·".join(value for _, value in texts)


def total(label: str, children: list[Node], unit: str = "params", **rest: str) -> Node:
    """Return a node whose value is the sum of its children."""
    return Node(label, sum(child.value for child in children), unit, children=tuple(children), **rest)


def tree(label: str, stacks: Iterable[Stack], leaves: Iterable[tuple[Place, Node]], unit: str) -> Node:
    """Build a tree that groups leaves by stack, then by section or block, and then by sub-layer and layer."""
    groups: dict[str, dict[str, dict[tuple[int, str], dict[str, list[Node]]]]] = {}
    for (stack_name, section, sublayer, layer), leaf in leaves:
        layers = groups.setdefault(stack_name, {}).setdefault(section, {}).setdefault(sublayer, {})
        layers.setdefault(layer, []).append(leaf)
    found = []
    for stack in stacks:
        children = []
        for section, sublayers in groups.get(stack.name, {}).items():
            count = sum(run.count for run in stack.runs if run.block.name == section)
            parts: list[Node] = []
            for (_, name), layers in sublayers.items():
                nodes = [total(layer, same, unit) for layer, same in layers.items()]
                parts += [total(name, nodes, unit)] if name else nodes
            children.append(total(f"{section} ×{count}" if count > 1 else section, parts, unit))
        if children:
            found.append(total(stack.name, children, unit))
    return found[0] if len(found) == 1 else total(label, found, unit)

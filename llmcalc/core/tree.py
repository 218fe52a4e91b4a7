"""Trees that break down totals into labelled numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from .amount import Product, Scaled, Sum
from .architecture import Stack
from .axes import GLOSSARY
from .record import record
from .type_names import Any

# names of the workload axes in formulas
WORKLOAD = {
    "b": "batch", "q": "new_tokens", "k": "n_keys", "c": "n_cached", "s": "n_source", "n": "n_encoded",
    "o": "n_logits", "p": "n_patches", "a": "n_frames",
}  # fmt: skip
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


def derivation(label: str, amount: int, unit: str) -> Node:
    """Return an amount as a tree without zero parts. A sum whose only part is also a sum is replaced by that part.

    >>> from llmcalc.core.amount import scaled
    >>> saved = Sum(("q", Product(2 * 3 * 2, (("b", 2), ("q", 3), ("n_bytes", 2)))), ("mask", 5))
    >>> print(derivation("saved", scaled(saved, 4), "bytes").text())
    saved = 68 bytes
      q = 48 bytes = batch·new_tokens·n_bytes·4 = 2·3·2·4
      mask = 20 bytes = n_bytes·4 = 5·4
    """
    if isinstance(amount, Sum):
        parts = [(name, part) for name, part in amount.parts if part]
        if len(parts) == 1 and isinstance(parts[0][1], Sum | Scaled):
            return derivation(label, parts[0][1], unit)
        return total(label, [derivation(name, part, unit) for name, part in parts], unit)
    if isinstance(amount, Scaled):
        return _scaled(derivation(label, amount.of, unit), amount)
    if not isinstance(amount, Product):
        return Node(label, amount, unit)
    factors = ((WORKLOAD.get(name) or GLOSSARY.get(name, (name,))[0], value) for name, value in amount.factors)
    names, values = product_texts(factors)
    whole = prod(value for _, value in amount.factors)
    if amount and round(whole / amount) > 1:
        names, values = f"{names} / n_ranks", f"{values} / {round(whole / amount)}"
    return Node(label, int(amount), unit, names, values)


def _scaled(node: Node, scale: Scaled, before: int = 0) -> Node:
    """Scale all values in a tree. Values are rounded so that they add up to the scaled total."""
    start, end = (-(-place * scale.times // scale.ranks) for place in (before, before + node.value))
    children = []
    for child in node.children:
        children.append(_scaled(child, scale, before))
        before += child.value
    formula, substituted = node.formula, node.substituted
    if not children:
        texts = f"·{scale.times}" * (scale.times > 1), f" / {scale.ranks}" * (scale.ranks > 1)
        formula = (formula or "n_bytes") + "".join(texts)
        substituted = (substituted or str(node.value)) + "".join(texts)
    return Node(node.label, end - start, node.unit, formula, substituted, node.source, node.note, tuple(children))

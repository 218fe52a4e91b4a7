"""Document of ``explain``: a number as the sum of its parts, with formulas, values, symbols and sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..calc.explain import MEANINGS as WORKLOAD_MEANINGS
from ..core.architecture import Architecture
from ..core.axes import GLOSSARY
from ..core.errors import UnknownNameError
from ..core.tree import Node
from ..core.workload import Workload
from .document import Column, Document, Table
from .json_envelope import envelope, model_inputs
from .model import structure, title, warnings
from .sources import cite
from .workload import workload_inputs, workload_line

ROOT_FORMULA = "n_blocks"
MEANINGS = dict(GLOSSARY.values()) | WORKLOAD_MEANINGS | {ROOT_FORMULA: "number of equal blocks, each stored once"}


def explain_document(
    architecture: Architecture,
    quantity: str,
    tree: Node,
    depth: int | None = None,
    select: str | None = None,
    workload: Workload | None = None,
) -> Document:
    """The document of a quantity's tree.

    Args:
        architecture: the model.
        quantity: its name.
        tree: the explanation.
        depth: levels to show; None: all.
        select: show only nodes whose path of labels contains this text.
        workload: the workload that the quantity depends on, if any.
    """
    roots = tuple(_selected(tree, select)) if select else (replace(tree, label=f"{architecture.name} {quantity}"),)
    if not roots:
        labels = [node.label for _, node in tree.walk()]
        raise UnknownNameError("part", select, labels, parameter="select")
    shown = tuple(_cut(root, depth) for root in roots)
    symbols = _symbols(shown)
    tables = [Table("symbols", (Column("symbol", "name"), Column("meaning")), symbols)] if symbols else []
    notes = (f"source: {cite(architecture.source)}",) if architecture.source else ()
    return Document(
        f"{title(architecture)}: {quantity}",
        lambda: _record(architecture, quantity, shown, depth, select, workload),
        subtitle=(*structure(architecture), *([workload_line(workload)] if workload else [])),
        warnings=warnings(architecture),
        tables=tuple(tables),
        tree=shown,
        notes=(*notes, *architecture.notes),
    )


def _selected(node: Node, text: str, path: str = "") -> Iterator[Node]:
    """The topmost nodes whose path contains ``text``, labelled with their path."""
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


def _symbols(roots: tuple[Node, ...]) -> list[tuple[Any, ...]]:
    """The symbols of all displayed formulas, in order of appearance."""
    words = dict.fromkeys(
        word for root in roots for _, node in root.walk() for word in node.formula.replace("·", " ").split()
    )
    return [(word, MEANINGS[word]) for word in words if word in MEANINGS]


def _record(
    architecture: Architecture,
    quantity: str,
    roots: tuple[Node, ...],
    depth: int | None,
    select: str | None,
    workload: Workload | None,
) -> dict[str, Any]:
    inputs = {**model_inputs(architecture), "quantity": quantity, "depth": depth, "select": select}
    inputs |= workload_inputs(workload) if workload else {}
    symbols = {str(symbol): str(meaning) for symbol, meaning in _symbols(roots)}
    result = {
        "trees": [root.to_dict() for root in roots], "symbols": symbols,
        "source": cite(architecture.source), "notes": list(architecture.notes),
    }  # fmt: skip
    return envelope("explain", inputs, result)

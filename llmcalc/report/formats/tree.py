"""Tree output of a derivation as an outline with guide lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...core.errors import InputError
from ...core.printable import padded, text_width
from ...core.tree import Node
from ..document import Document
from ..numbers import exact

GAP = "  "
ALREADY_COUNTED = "0"  # formula of a shared tensor that was already counted; the note explains it


def render(document: Document) -> str:
    """Render one line per node with its value, label and derivation."""
    roots = document.tree or document.derivation()
    if not roots:
        raise InputError("this result has no tree", parameter="form", hint="use another format")
    rows = [(exact(node.value), guides + node.label, derivation(node)) for guides, _, node in outlines(roots)]
    return aligned(rows, [True, False, False]) + "\n"


def aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Return lines with aligned cells. ``right`` states which columns are aligned to the right."""
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(GAP.join(map(padded, row, widths, right)).rstrip() for row in rows)


def outlines(roots: Iterable[Node]) -> list[tuple[str, str, Node]]:
    """Return (guides for the node's line, guides for the line below, node) of every node, in depth-first order."""
    return [line for root in roots for line in _outline(root)]


def _outline(node: Node, before: str = "", below: str = "") -> Iterator[tuple[str, str, Node]]:
    yield before, below + ("│ " if node.children else "  "), node
    for child in node.children:
        last = child is node.children[-1]
        yield from _outline(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def derivation(node: Node) -> str:
    """Describe the derivation of a value, such as ``vocab·d_model = 50257·12288`` or a sum of parts."""
    if node.children and not node.formula:
        text = f"sum of {len(node.children)} parts" if len(node.children) > 1 else ""
    else:
        text = " = ".join(dict.fromkeys(filter(None, (node.formula, node.substituted))))
    text = "" if text == ALREADY_COUNTED else text
    remarks = "; ".join(filter(None, (node.note, node.source)))
    return f"{text} ({remarks})" if text and remarks else text or remarks

"""A tree as lines of text: branch guides, and the derivation of each number."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.tree import Node

NOTHING = "0"  # the formula of a shared tensor that was already counted; its note explains it


def outline(node: Node, before: str = "", below: str = "") -> Iterator[tuple[str, str, Node]]:
    """(guides of the node's line, guides of a line below it, node), in reading order."""
    yield before, below + ("│ " if node.children else "  "), node
    for child in node.children:
        last = child is node.children[-1]
        yield from outline(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def derivation(node: Node) -> str:
    """How a value is derived: ``vocab·d_model = 50257·12288``, or that it is a sum."""
    if node.children and not node.formula:
        text = f"sum of {len(node.children)} parts" if len(node.children) > 1 else ""
    else:
        text = " = ".join(dict.fromkeys(filter(None, (node.formula, node.substituted))))
    text = "" if text == NOTHING else text
    remarks = "; ".join(filter(None, (node.note, node.source)))
    return f"{text} ({remarks})" if text and remarks else text or remarks

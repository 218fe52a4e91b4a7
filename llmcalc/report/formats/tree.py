"""Format ``tree``: the derivation as an outline with guides."""

from __future__ import annotations

from ...core.errors import InputError
from ..document import Document
from ..numbers import exact
from ..outline import derivation, outline


def render(document: Document) -> str:
    """One line per node: value, label, derivation.

    Raises:
        InputError: the document has no tree.
    """
    if not document.tree:
        raise InputError("this result has no tree", parameter="form", hint="use params or explain")
    lines = [(guides, node) for root in document.tree for guides, _, node in outline(root)]
    width = max(len(exact(node.value)) for _, node in lines)
    named = max(len(guides + node.label) for guides, node in lines)
    text = ""
    for guides, node in lines:
        text += f"{exact(node.value):>{width}}  {guides + node.label:<{named}}  {derivation(node)}".rstrip() + "\n"
    return text

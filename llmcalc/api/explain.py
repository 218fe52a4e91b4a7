"""Trees that show how quantities are derived. Each total is the sum of its children."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..calc.flops import flops
from ..calc.kv_cache import state
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.errors import UnknownNameError
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import AMOUNT, CONTEXT, CONVENTION, LOGITS, MODE, SIZES, Setting, check_values
from ..core.tree import Node
from ..core.workload import Workload
from .defaults import default_seq
from .load import Source, load
from .settings import CACHE, CACHE_FORMAT, DEPENDS, FORMATS, KERNELS, STEP, read_settings, split_settings

# settings that each explanation depends on; a state is explained in elements
EXPLAINED = {
    **DEPENDS,
    "state": (*SIZES, *CACHE, CONVENTION),
    "train": (*SIZES[1:], STEP[2], Setting("tokens", AMOUNT, least=1)),
    "traffic": (*SIZES, MODE, CONTEXT, LOGITS, KERNELS, *FORMATS, CACHE_FORMAT),
}
EXPLAIN = (
    Setting("quantity", str, "params", choices=tuple(EXPLAINED)),
    Setting("depth", int, least=0),
    Setting("select", least=0),
)
OWN = ("tokens", "kernels")  # settings of a single quantity


@record
class Explanation(NotebookDisplay):
    """Derivation of a quantity. ``print`` displays the derivation as a tree.

    Attributes:
        architecture: model that was analysed.
        quantity: name of the quantity, such as ``params``.
        tree: complete derivation.
        roots: selected subtrees.
        workload: workload of the quantity, or None for parameter counts.
    """

    architecture: Architecture
    quantity: str
    tree: Node
    roots: tuple[Node, ...]
    workload: Workload | None = None

    @property
    def summary(self) -> str:
        """One-line summary of the total."""
        return f"{self.architecture.name} {self.quantity}: {self.tree.value:,} {self.tree.unit}"

    def __str__(self) -> str:
        return "\n".join(root.text() for root in self.roots)

    def to_dict(self) -> dict[str, Any]:
        """Return the derivation as a plain dictionary."""
        return {"trees": [root.to_dict() for root in self.roots]}


def explain(
    model: Source, quantity: str = "params", *, depth: int | None = None, select: str | None = None, **settings: Any
) -> Explanation:
    """Explain how a quantity is derived.

    >>> import llmcalc
    >>> print(llmcalc.explain("gpt3", "params", depth=1))
    gpt3-175b params = 174,604,259,328 params
      inputs = 642,723,840 params (2 parts below)
      block ×96 = 173,961,510,912 params (2 parts below)
      outputs = 24,576 params (2 parts below)

    Args:
        model: an architecture, or anything ``load`` reads.
        quantity: ``params``, ``active``, ``flops``, ``state``, ``memory``, ``train`` or ``traffic``.
        depth: number of levels to show (default: all).
        select: show only parts whose path contains this text.
        settings: parameters of the quantity's function, such as ``tokens`` of ``train``. ``attention`` of ``flops`` is
            called ``pairs``; ``training=True`` explains the memory of a training step.

    Raises:
        InputError: an unknown quantity, or settings that the quantity does not depend on.
    """
    check_values(EXPLAIN, locals())
    settings = read_settings(quantity, EXPLAINED[quantity], settings)
    own = {name: settings.pop(name) for name in OWN if name in settings}
    architecture = load(model)
    tree, workload = _derive(architecture, quantity, own, settings)
    named = replace(tree, label=f"{architecture.name} {quantity}")
    roots = tuple(_selected(tree, select)) if select else (named,)
    if not roots:
        raise UnknownNameError("part", select, [node.label for _, node in tree.walk()], parameter="select")
    return Explanation(architecture, quantity, named, tuple(_cut(root, depth) for root in roots), workload)


def _derive(
    architecture: Architecture, quantity: str, own: dict[str, Any], settings: dict[str, Any]
) -> tuple[Node, Workload | None]:
    """Return the derivation tree and workload of a quantity. Parameter counts have no workload."""
    if quantity in ("params", "active"):
        count = params(architecture)
        return (count.tree if quantity == "params" else count.active_tree), None
    from ..calc import explain as trees

    sizes, step, of_memory, convention = split_settings(settings)
    if sizes["seq"] is None:
        sizes["seq"] = default_seq(architecture, mode=step["mode"])
    if quantity == "train":
        from .train import train

        of_run = {name: sizes[name] for name in ("seq", "target_seq", "extend")}
        run = train(architecture, own.get("tokens"), **of_run, attention=step["attention"])
        return trees.flops_tree(run.step), run.step.workload
    if quantity == "traffic":
        from .traffic import traffic

        formats = {name: of_memory[name] for name in ("dtype", "weights", "only", "keep", "cache") if name in of_memory}
        step = {name: step[name] for name in ("mode", "context", "logits")}
        moved = traffic(architecture, **sizes, **step, **formats, **own)
        return trees.traffic_tree(moved), moved.workload
    if quantity == "flops":
        counted = flops(architecture, **sizes, **step, convention=convention)
        return trees.flops_tree(counted), counted.workload
    if quantity == "state":
        cache = {name: of_memory[name] for name in ("beams", "page") if name in of_memory}
        size = state(architecture, **sizes, **cache, convention=convention)
        return trees.state_tree(size), size.workload
    from .memory import memory

    result = memory(architecture, **of_memory, **sizes)
    return trees.memory_tree(result), result.workload


def _selected(node: Node, text: str, path: str = "") -> Iterator[Node]:
    """Yield the topmost nodes whose paths contain ``text``, with the paths as labels."""
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

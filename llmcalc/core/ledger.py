"""The ledger: every layer of an architecture once, with where it stands and how often it is stored and applied.

All folds read the ledger, so that a run of 96 equal blocks costs as much as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .architecture import Architecture, Stack, declare
from .declaration import Declaration, Tensor
from .errors import SizeError
from .layer import Layer
from .record import changed


class Entry(NamedTuple):
    """A layer in its place. ``run`` is the index of its run, or None outside the blocks; ``number`` that of its
    sub-layer within the block. It is stored ``stored`` times and applied ``applied`` times; layers of one ``share`` and
    name hold the same tensors.
    """

    stack: Stack
    section: str
    run: int | None
    sublayer: str
    name: str
    layer: Layer
    stored: int
    applied: int
    number: int = 0
    share: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        """Where the layer stands: stack, section or block, sub-layer, name."""
        block = [] if self.run is None else [f"{self.section}[{self.run}]"]
        return (self.stack.name, *block, *filter(None, [self.sublayer]), self.name)


class Row(NamedTuple):
    """A tensor in its place: ``size`` elements, stored ``copies`` times (0: it is a tensor counted before)."""

    entry: Entry
    part: tuple[str, ...]
    declaration: Declaration
    tensor: Tensor
    size: int
    copies: int


def entries(architecture: Architecture) -> Iterator[Entry]:
    """Every layer of every stack, first stack first, in the order in which they run."""
    for stack in architecture.stacks:
        yield from stack_entries(stack)


def stack_entries(stack: Stack) -> Iterator[Entry]:
    """Every layer of one stack."""
    for name, layer in stack.inputs:
        yield Entry(stack, "inputs", None, "", name, layer, 1, 1)
    for index, run in enumerate(stack.runs):
        stored = 1 if run.shared else run.count
        for number, sublayer in enumerate(run.block.sublayers):
            place = (stack, run.block.name, index, sublayer.name)
            for name, layer in sublayer.layers():
                yield Entry(*place, name, layer, stored, run.count, number, sublayer.share)
    for name, layer in stack.outputs:
        yield Entry(stack, "outputs", None, "", name, layer, 1, 1)


def rows(stacks: tuple[Stack, ...]) -> list[Row]:
    """Every tensor of the stacks. A shared tensor is stored at its first place alone.

    Raises:
        SizeError: two tensors share an identity but not a size.
    """
    found: list[Row] = []
    sizes: dict[str, int] = {}
    for stack in stacks:
        for entry in stack_entries(stack):
            for part, declaration in declare(entry.layer).walk():
                for own, size in zip(declaration.tensors, _sizes(declaration), strict=True):
                    tensor = _identified(own, entry, part) if entry.share else own
                    copies = entry.stored
                    if name := identity(stack, tensor):
                        copies = 0 if name in sizes else 1
                        if sizes.setdefault(name, size) != size:
                            raise SizeError(
                                f"{'.'.join(entry.path)}.{tensor.name} has {size} elements, but the tensor "
                                f"{name!r} that it shares has {sizes[name]}",
                                hint="shared tensors have one shape",
                            )
                    found.append(Row(entry, part, declaration, tensor, size, copies))
    return found


def _sizes(declaration: Declaration) -> tuple[int, ...]:
    """The elements of each tensor, computed once for equal layers, whose declaration is one."""
    if declaration.sizes is None:
        declaration.sizes = tuple(elements(tensor, declaration) for tensor in declaration.tensors)
    return declaration.sizes


def identity(stack: Stack, tensor: Tensor) -> str:
    """What tensors that are one are called; a name that begins with a dot is the stack's own. Empty: it shares none."""
    share = tensor.share or ""
    return stack.name + share if share.startswith(".") else share


def _identified(tensor: Tensor, entry: Entry, part: tuple[str, ...]) -> Tensor:
    """A tensor of a shared sub-layer, under the identity that its fellows have too."""
    name = ".".join((entry.stack.name, entry.share, entry.name, *part, tensor.name))
    return changed(tensor, share=tensor.share or name)


def elements(tensor: Tensor, declaration: Declaration) -> int:
    """The product of a tensor's axes."""
    size = 1
    for axis in tensor.axes:
        length = declaration.axes[axis]
        if not isinstance(length, int):
            raise SizeError(f"tensor {tensor.name} has the axis {axis!r}, whose length depends on the workload")
        size *= length
    return size


def active_elements(tensor: Tensor, declaration: Declaration) -> int:
    """The elements that one token uses: of routed experts, ``top_k`` of ``n_experts``."""
    size = elements(tensor, declaration)
    if tensor.active is None:
        return size
    whole, used = (declaration.axes[axis] for axis in tensor.active)
    assert isinstance(whole, int)
    assert isinstance(used, int)
    return size // whole * used

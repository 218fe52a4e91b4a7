"""Layers and tensors of an architecture, including their positions, copy counts and execution counts.

Equal blocks are listed once with their count, so listing 96 blocks is as fast as listing one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import chain
from math import prod

from .architecture import Architecture, Stack, declare
from .declaration import Declaration, Leaf, Tensor
from .errors import SizeError
from .layer import Layer
from .record import NamedTuple, changed, remembered


class Entry(NamedTuple):
    """A layer and its position. ``section`` is ``inputs``, ``outputs`` or a block name.

    Attributes:
        stored: number of copies of the layer's tensors.
        applied: number of times the layer is executed.
        number: index of the sub-layer within the block.
        share: sharing key. Layers with the same ``share`` and name use the same tensors.
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
        """Path that consists of the stack, block, sub-layer and layer names."""
        block = [] if self.run is None else [f"{self.section}[{self.run}]"]
        return (self.stack.name, *block, *filter(None, [self.sublayer]), self.name)


class Row(NamedTuple):
    """A tensor and its position, with ``size`` elements per copy. Later uses of a shared tensor add no copies."""

    entry: Entry
    part: tuple[str, ...]
    declaration: Declaration
    tensor: Tensor
    size: int
    copies: int


def entries(architecture: Architecture) -> Iterator[Entry]:
    """Return an iterator over all layers in execution order."""
    return (entry for stack in architecture.stacks for entry in stack_entries(stack))


def stack_entries(stack: Stack, runs: Container[int] | None = None) -> Iterator[Entry]:
    """Yield every layer of a stack in execution order, optionally only those of some runs (by index)."""
    for name, layer in stack.inputs:
        yield Entry(stack, "inputs", None, "", name, layer, 1, 1)
    for index, run in enumerate(stack.runs):
        if runs is not None and index not in runs:
            continue
        stored = 1 if run.shared else run.count
        for number, sublayer in enumerate(run.block.sublayers):
            place = (stack, run.block.name, index, sublayer.name)
            for name, layer in sublayer.layers():
                yield Entry(*place, name, layer, stored, run.count, number, sublayer.share)
    for name, layer in stack.outputs:
        yield Entry(stack, "outputs", None, "", name, layer, 1, 1)


def distinct_entries(stack: Stack) -> Iterator[Entry]:
    """Yield every layer of a stack once. Runs of equal blocks are merged into the first one, with summed counts.

    The cost does not grow with the number of times that a pattern of blocks is repeated.
    """
    merged = stack.distinct_runs
    for entry in stack_entries(stack, merged):
        if entry.run is None:
            yield entry
        else:
            stored, applied = merged[entry.run]
            yield entry._replace(stored=stored, applied=applied)


def declarations(*stacks: Stack) -> Iterator[tuple[Entry, tuple[str, ...], Declaration]]:
    """Yield (entry, path of the inner layer, declaration) for every distinct layer and inner layer in the stacks."""
    for stack in stacks:
        for entry in distinct_entries(stack):
            for part, declaration in declare(entry.layer).walk():
                yield entry, part, declaration


def rows(stacks: tuple[Stack, ...], *, distinct: bool = False) -> list[Row]:
    """Return every tensor in the stacks. Only the first occurrence of a shared tensor has a nonzero copy count.

    If ``distinct`` is set, the tensors of equal blocks in several runs are listed once, with summed copy counts.
    """
    found: list[Row] = []
    sizes: dict[str, int] = {}
    known: dict[int, tuple[Leaf, ...]] = {}  # by identity, because many entries contain the same layer
    listed = distinct_entries if distinct else stack_entries
    for entry in chain.from_iterable(map(listed, stacks)):
        leaves = known.get(id(entry.layer))
        if leaves is None:
            leaves = known[id(entry.layer)] = _leaves(declare(entry.layer))
        for part, declaration, tensor, size in leaves:
            if not (tensor.share or entry.share):
                found.append(Row(entry, part, declaration, tensor, size, entry.stored))
                continue
            if entry.share and not tensor.share:  # one tensor for all sub-layers that share it
                path = (entry.stack.name, entry.share, entry.name, *part, tensor.name)
                tensor = changed(tensor, share=".".join(path))
            copies = entry.stored
            if name := identity(entry.stack, tensor):
                copies = 0 if name in sizes else 1
                if sizes.setdefault(name, size) != size:
                    where = f"{'.'.join(entry.path)}.{tensor.name}"
                    message = f"{where} has {size} elements, but the shared tensor {name!r} has {sizes[name]}"
                    raise SizeError(message, hint="shared tensors must have the same shape")
            found.append(Row(entry, part, declaration, tensor, size, copies))
    return found


def model_rows(architecture: Architecture, *, distinct: bool = False) -> tuple[Row, ...]:
    """Return what ``rows`` returns for all stacks of an architecture. The rows are kept with it."""
    return remembered(
        architecture, "_rows", distinct, lambda: tuple(rows(architecture.stacks, distinct=distinct)), most=2
    )


def _leaves(declaration: Declaration) -> tuple[Leaf, ...]:
    """Return every tensor of a declaration and of its inner declarations, cached in the declaration."""
    if declaration.leaves is None:
        declaration.leaves = tuple(
            (part, inner, tensor, elements(tensor, inner))
            for part, inner in declaration.walk()
            for tensor in inner.tensors
        )
    return declaration.leaves


def identity(stack: Stack, tensor: Tensor) -> str:
    """Return the sharing key of a tensor, or an empty string. Keys with a leading dot are local to a stack."""
    share = tensor.share or ""
    return stack.name + share if share.startswith(".") else share


def elements(tensor: Tensor, declaration: Declaration) -> int:
    """Return the number of elements in a tensor."""
    size = 1
    for axis in tensor.axes:
        length = declaration.axes[axis]
        if not isinstance(length, int):
            raise SizeError(f"in tensor {tensor.name}, the length of axis {axis!r} depends on the workload")
        size *= length
    return size


def matrix_shape(tensor: Tensor, declaration: Declaration) -> tuple[int, int, int]:
    """Return (copies, rows, columns) of a tensor. A matrix has one column per input, and a vector is a single row."""
    sizes = [prod(int(declaration.axes[axis]) for axis in group) for group in tensor.groups]
    if tensor.linear and len(sizes) > 1:
        *lead, inputs, outputs = sizes
        return prod(lead), outputs, inputs
    *lead, columns = sizes
    return 1, prod(lead), columns


def active_elements(tensor: Tensor, declaration: Declaration) -> int:
    """Return the number of elements used per token. Only ``top_k`` of ``n_experts`` routed experts are counted."""
    size = elements(tensor, declaration)
    if tensor.active is None:
        return size
    whole, used = (int(declaration.axes[axis]) for axis in tensor.active)
    return size // whole * used

"""Groups of a layer's equations that one operation computes.

Equations that one kernel computes form a group, as in ``calc/kernels.py``. Inference engines also merge contractions
of the same activation, such as those that give queries, keys and values, and the functions between the merged products.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Any

from ..calc.kernels import LayerKernels
from ..calc.operand_formats import Formats, WeightBits
from ..calc.sharding import Mesh
from ..calc.walk import Placed
from ..calc.work import Work
from ..core.architecture import declare
from ..core.declaration import Declaration, Tensor
from ..core.equation import Equation, Operand
from ..core.form import Form, product
from ..core.functions import FUNCTIONS
from ..core.traits import MATRIX
from .operations import RECURRENT, Attention, Convolution, Elementwise, Gemm, GroupedGemm, Scan

ATTENTION = "attention"  # number class of the matrices of layers that mix tokens
Key = tuple[Any, ...]  # identity of a group, which starts with the type of its operation


def number_class(place: Placed, tensor: Tensor) -> str:
    """Return the class of number formats of a weight, which is ``attention`` for matrices of layers that mix tokens."""
    own = place.declaration.number_class(tensor)
    return ATTENTION if own == MATRIX and _mixes_tokens(declare(place.entry.layer)) else own


def _mixes_tokens(declaration: Declaration) -> bool:
    parts = [part for _, part in declaration.walk()]
    return any(part.states or part.mask or any("core" in line for line in part.lines) for part in parts)


class _UnknownFormats(WeightBits):
    """Placeholder for number formats, because only elements are counted."""

    def __init__(self) -> None:
        self.found = {}

    def of(self, place: Placed, name: str) -> Fraction:
        return Fraction(1)


_ELEMENTS = Formats(_UnknownFormats(), Fraction(1), "bf16", None)


class LayerGroups:
    """Groups the equations of one layer into operations."""

    def __init__(self, chosen: list[Work], mesh: Mesh, training: bool = False) -> None:
        self.works, self.mesh, self.place = chosen, mesh, chosen[0].place
        self.declaration = self.place.declaration
        self.kernels = LayerKernels(self.place, chosen, _ELEMENTS, fused=True, training=training)
        self.weights = self.kernels.weights

    def is_fixed(self, axis: str) -> bool:
        """Return whether the length of an axis does not depend on the workload."""
        return isinstance(self.place.extent(axis), int)

    def size(self, axes: Iterable[str]) -> int:
        """Return the product of the lengths that do not depend on the workload."""
        lengths = (self.place.extent(axis) for axis in axes)
        return prod(length for length in lengths if isinstance(length, int))

    def rows(self, axes: Iterable[str]) -> Form:
        """Return the product of the lengths that depend on the workload."""
        lengths = (self.place.extent(axis) for axis in axes)
        return product(length for length in lengths if isinstance(length, Form))

    def shards(self, axes: Iterable[str]) -> int:
        """Return the number of ranks over which tensor parallelism divides a tensor."""
        return self.mesh.shards(tuple(axes), self.declaration)

    @cached_property
    def experts(self) -> dict[str, str]:
        """Axes of the chosen experts of each token, by the axis of all experts."""
        routed = (tensor.active for tensor in self.declaration.tensors if tensor.active and not tensor.table)
        return dict(pair for pair in routed if self.declaration.division(pair[0]) in ("expert", "null_experts"))

    def groups(self) -> list[tuple[Key, list[int]]]:
        """Return the key of each operation and the numbers of its equations."""
        found: dict[Key, list[int]] = {}
        versions: dict[str, int] = {}
        run = 0  # number of the last operation that is not elementwise
        kernels, fused = dict[int, list[Work]](), dict[int, Key | None]()
        for work, kernel in zip(self.works, self.kernels.kernel_of, strict=True):
            kernels.setdefault(kernel, []).append(work)
        for number, (work, kernel) in enumerate(zip(self.works, self.kernels.kernel_of, strict=True)):
            if kernel not in fused:
                fused[kernel] = self.fused_key(kernels[kernel], kernel)
            key = fused[kernel] or self.key(work, versions)
            if key[0] is Elementwise:
                key = (*key, run)
            elif key not in found:
                run += 1
            found.setdefault(key, []).append(number)
            versions[work.equation.out.name] = number
        return list(found.items())

    def fused_key(self, kernel: list[Work], number: int) -> Key | None:
        """Return the key of a recurrence or an attention kernel, or None for other equations."""
        if any("scan" in each.equation.tags for each in kernel) or any(map(self.is_recurrent, kernel)):
            return (Scan,)
        if any("core" in each.equation.tags or self.is_scores(each) for each in kernel):
            is_product = any(each.equation.function is None for each in kernel)
            return (Attention, number) if is_product else (Elementwise,)
        return None

    def key(self, work: Work, versions: dict[str, int]) -> Key:
        """Return the key of the operation that an equation outside of fused kernels belongs to."""
        equation = work.equation
        axes = {axis for operand in (equation.out, *equation.operands) for axis in operand.axes}
        if axes & {*self.experts.values()}:
            return (GroupedGemm,)
        weights = [operand for operand in equation.operands if operand.name in self.weights]
        others = [operand for operand in equation.operands if operand.name not in self.weights]
        if equation.function is not None or len(weights) != 1 or not others:
            return (Elementwise,)
        summed = [axis for axis in weights[0].axes if axis in equation.contracted]
        if not summed:
            return (Elementwise,)
        if all(axis not in other.axes for axis in summed for other in others):
            return (Convolution,)
        return (Gemm, *self.product(equation, weights[0], others, versions))

    def is_scores(self, work: Work) -> bool:
        """Return whether an equation reads or writes attention scores."""
        equation = work.equation
        return any(self.kernels.is_score(operand.axes) for operand in (equation.out, *equation.operands))

    def is_recurrent(self, work: Work) -> bool:
        """Return whether an equation computes or reads a recurrent state."""
        equation = work.equation
        if equation.function and FUNCTIONS[equation.function].is_recurrence:
            return True
        states = (self.kernels.matching_state(each.name, each.axes) for each in (equation.out, *equation.operands))
        return any(state is not None and state.role == RECURRENT for state in states)

    def product(self, equation: Equation, weight: Operand, others: list[Operand], versions: dict[str, int]) -> Key:
        """Return what products that engines merge have in common."""
        names = tuple((other.name, versions.get(other.name), other.axes) for other in others)
        batch, columns, inner = self.roles(equation, weight)
        divided = tuple(self.shards(axes) for axes in (batch, columns, inner))
        rows = tuple(axis for axis in equation.out.axes if axis not in weight.axes)
        own = number_class(self.place, self.weights[weight.name])
        return (names, rows, divided, batch, self.size(inner), own)

    def roles(self, equation: Equation, weight: Operand) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Return the axes of a weight over which the product is repeated, the output axes, and the summed axes."""
        loops = [axis for axis in equation.loops if self.is_fixed(axis)]
        read = {axis for operand in equation.operands if operand != weight for axis in operand.axes}
        summed = tuple(axis for axis in loops if axis in equation.contracted)
        batch = tuple(axis for axis in loops if axis in weight.axes and axis in read and axis not in summed)
        columns = tuple(axis for axis in loops if axis in weight.axes and axis not in (*batch, *summed))
        return batch, columns, summed

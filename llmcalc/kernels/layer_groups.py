"""Groups of a layer's equations that one operation computes, found once for all layouts.

Equations that one kernel computes form a group, as in ``calc/kernels.py``. Inference engines also merge contractions
of the same activation, such as those that give queries, keys and values, and the functions between the merged products.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from math import prod

from ..calc.kernels import WEIGHTS, LayerKernels
from ..calc.operand_formats import Formats, WeightBits
from ..calc.walk import Placed
from ..calc.work import Work
from ..core.architecture import declare
from ..core.declaration import Tensor
from ..core.equation import Equation, Operand
from ..core.form import Form, product
from ..core.functions import RECURRENCES
from ..core.record import NamedTuple
from ..core.traits import MATRIX
from ..core.type_names import Any
from .operations import RECURRENT, Attention, Convolution, Elementwise, Gemm, GroupedGemm, Operation, Scan

ATTENTION = "attention"  # number class of the matrices of layers that mix tokens
Key = tuple[Any, ...]  # identity of a group, which starts with the type of its operation
Roles = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # repeated, output and summed axes of a weight


class Moved(NamedTuple):
    """Elements that a group reads or writes, on all ranks.

    Attributes:
        group: number of the group.
        kind: kind of tensor.
        elements: number of elements.
        axes: axes of the tensor.
    """

    group: int
    kind: str
    elements: Form
    axes: tuple[str, ...]


class _UnknownFormats(WeightBits):
    """Placeholder for number formats, because only elements are counted."""

    def __init__(self) -> None:
        self.found = {}

    def of(self, place: Placed, name: str) -> Fraction:
        return Fraction(1)


_ELEMENTS = Formats(_UnknownFormats(), Fraction(1), "bf16", None)


class LayerGroups:
    """What the operations of a layer's equations have in common in all layouts.

    Attributes:
        works: equations of the layer.
        whole_layer: declaration of the layer; ``declaration`` is this one or a part of it.
        lengths: lengths of all axes.
        fixed: axes whose lengths do not depend on the workload.
        roles: roles of the axes of the weight of each product, by the number of its equation.
        keys: key of each equation. Products with the same key are merged if a layout divides their axes equally.
    """

    def __init__(self, works: list[Work], training: bool = False) -> None:
        self.works, self.place = works, works[0].place
        self.declaration = self.place.declaration
        self.whole_layer = declare(self.place.entry.layer)
        self.kernels = LayerKernels(self.place, works, _ELEMENTS, fused=True, training=training)
        self.weights = self.kernels.weights
        named = {each.axes for work in works for each in (work.equation.out, *work.equation.operands)}
        named |= {each.axes for each in self.weights.values()} | {each.axes for each in self.kernels.states.values()}
        self.lengths = {axis: self.place.extent(axis) for axes in named for axis in axes}
        self.fixed = {axis for axis, length in self.lengths.items() if isinstance(length, int)}
        self.roles: dict[int, Roles] = {}
        self.keys = self._keys()
        self._moved: dict[tuple[int, ...], list[Moved]] = {}

    def size(self, axes: Iterable[str]) -> int:
        """Return the product of the lengths that do not depend on the workload."""
        return prod(length for length in map(self.lengths.__getitem__, axes) if isinstance(length, int))

    def rows(self, axes: Iterable[str]) -> Form:
        """Return the product of the lengths that depend on the workload."""
        return product(length for length in map(self.lengths.__getitem__, axes) if isinstance(length, Form))

    @cached_property
    def experts(self) -> dict[str, str]:
        """Axes of the chosen experts of each token, by the axis of all experts."""
        routed = (tensor.active for tensor in self.declaration.tensors if tensor.active and not tensor.table)
        return dict(pair for pair in routed if self.declaration.division(pair[0]) in ("expert", "null_experts"))

    @cached_property
    def mixes_tokens(self) -> bool:
        """Whether the layer, or one of its parts, mixes tokens."""
        parts = [part for _, part in self.whole_layer.walk()]
        return any(part.states or part.mask or any("core" in line for line in part.lines) for part in parts)

    def number_class(self, tensor: Tensor) -> str:
        """Return the class of number formats of a weight. Matrices of layers that mix tokens have a class of their
        own.
        """
        own = self.declaration.number_class(tensor)
        return ATTENTION if own == MATRIX and self.mixes_tokens else own

    def groups(self, divisions: Mapping[int, tuple[int, ...]]) -> list[tuple[type[Operation], list[int]]]:
        """Return the type of each operation and the numbers of its equations.

        Args:
            divisions: number of ranks that divide the axes of each role, by the number of a product.
        """
        found: dict[Key, list[int]] = {}
        run = 0  # number of the last operation that is not elementwise
        for number, each in enumerate(self.keys):
            key = (*each, run) if each[0] is Elementwise else (*each, divisions.get(number))
            if each[0] is not Elementwise and key not in found:
                run += 1
            found.setdefault(key, []).append(number)
        return [(key[0], numbers) for key, numbers in found.items()]

    def moved(self, groups: list[tuple[type[Operation], list[int]]]) -> list[Moved]:
        """Return what each group reads and writes, except weights.

        A state is loaded and stored by the recurrence or the convolution that computes it.
        """
        group_of = dict(sorted((number, at) for at, (_, numbers) in enumerate(groups) for number in numbers))
        key = tuple(group_of.values())
        if key not in self._moved:
            of_type = {kind: at for at, (kind, _) in enumerate(groups)}
            of_work = {id(work): group for work, group in zip(self.works, key, strict=True)}
            self.kernels.kernel_of = [*key]
            found = self._moved[key] = []
            for access in self.kernels.accesses():
                group = of_work[id(access.work)]
                if access.between_steps:
                    is_recurrent = self.kernels.states[access.label].role == RECURRENT
                    group = of_type.get(Scan if is_recurrent else Convolution, group)
                if access.kind != WEIGHTS:
                    count = product([factor for _, factor in access.factors])
                    found.append(Moved(group, access.kind, count, tuple([axis for axis, _ in access.factors])))
        return self._moved[key]

    def _keys(self) -> list[Key]:
        kernels: dict[int, list[Work]] = {}
        for work, kernel in zip(self.works, self.kernels.kernel_of, strict=True):
            kernels.setdefault(kernel, []).append(work)
        fused = {kernel: self.fused_key(own, kernel) for kernel, own in kernels.items()}
        versions: dict[str, int] = {}
        found = []
        for number, (work, kernel) in enumerate(zip(self.works, self.kernels.kernel_of, strict=True)):
            found.append(fused[kernel] or self.key(number, versions))
            versions[work.equation.out.name] = number
        return found

    def fused_key(self, kernel: list[Work], number: int) -> Key | None:
        """Return the key of a recurrence or an attention kernel, or None for other equations."""
        if any("scan" in each.equation.tags for each in kernel) or any(map(self.is_recurrent, kernel)):
            return (Scan,)
        if any("core" in each.equation.tags or self.is_scores(each) for each in kernel):
            is_product = any(each.equation.function is None for each in kernel)
            return (Attention, number) if is_product else (Elementwise,)
        return None

    def key(self, number: int, versions: Mapping[str, int]) -> Key:
        """Return the key of the operation that an equation outside of fused kernels belongs to."""
        equation = self.works[number].equation
        axes = {axis for operand in (equation.out, *equation.operands) for axis in operand.axes}
        if axes & {*self.experts.values()}:
            return (GroupedGemm,)
        weights = [operand for operand in equation.operands if operand.name in self.weights]
        others = [operand for operand in equation.operands if operand.name not in self.weights]
        summed = [axis for weight in weights for axis in weight.axes if axis in equation.contracted]
        if equation.function is not None or len(weights) != 1 or not others or not summed:
            return (Elementwise,)
        if all(axis not in other.axes for axis in summed for other in others):
            return (Convolution,)
        roles = self.roles[number] = self.roles_of(equation, weights[0])
        return (Gemm, *self.product(equation, weights[0], others, versions, roles))

    def is_scores(self, work: Work) -> bool:
        """Return whether an equation reads or writes attention scores."""
        equation = work.equation
        return any(self.kernels.is_score(operand.axes) for operand in (equation.out, *equation.operands))

    def is_recurrent(self, work: Work) -> bool:
        """Return whether an equation computes or reads a recurrent state."""
        equation = work.equation
        if equation.function in RECURRENCES:
            return True
        if not self.kernels.states:
            return False
        states = (self.kernels.matching_state(each.name, each.axes) for each in (equation.out, *equation.operands))
        return any(state is not None and state.role == RECURRENT for state in states)

    def product(
        self, equation: Equation, weight: Operand, others: list[Operand], versions: Mapping[str, int], roles: Roles
    ) -> Key:
        """Return what products that engines merge have in common."""
        batch, _, inner = roles
        names = tuple((other.name, versions.get(other.name), other.axes) for other in others)
        rows = tuple(axis for axis in equation.out.axes if axis not in weight.axes)
        return (names, rows, batch, self.size(inner), self.number_class(self.weights[weight.name]))

    def roles_of(self, equation: Equation, weight: Operand) -> Roles:
        """Return the axes of a weight over which the product is repeated, the output axes, and the summed axes."""
        loops = [axis for axis in equation.loops if axis in self.fixed]
        read = {axis for operand in equation.operands if operand != weight for axis in operand.axes}
        summed = tuple(axis for axis in loops if axis in equation.contracted)
        batch = tuple(axis for axis in loops if axis in weight.axes and axis in read and axis not in summed)
        columns = tuple(axis for axis in loops if axis in weight.axes and axis not in (*batch, *summed))
        return batch, columns, summed

"""Kernels of a layer, and the tensors that each kernel reads and writes.

Equations are grouped into kernels under one of two conventions:

    unfused   each equation is a kernel that reads every operand and writes its result
    fused     a kernel reads only its inputs and writes only its outputs. The kernels are contractions,
              sequences of functions between contractions, attention cores (scores are never written) and
              chunked recurrences
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from math import prod

from ..core.declaration import State, Tensor
from ..core.equation import Operand
from ..core.form import Form, lift, minimum, product, touched
from ..core.functions import FUNCTIONS
from ..core.record import NamedTuple
from ..core.type_names import Any
from .kv_cache import CACHED
from .memory.number_formats import BITS_A_BYTE
from .operand_formats import Formats
from .walk import Extent, Placed
from .work import Work

WEIGHTS, CACHE, STATE, ACTIVATIONS = KINDS = ("weights", "cache", "state", "activations")
TOUCHED = "n_touched"  # factor that replaces the number of routed experts
EXECUTED = "is_executed"  # factor of a weight whose equation may have no rows
ALWAYS_POSITIVE = frozenset("bqk")  # symbols of at least 1
VIEWS = ("copy", "identity")  # functions of one operand that move no data
LAYER_INPUTS = ("x", "unnormed", "first")  # tensors that enter a layer without a declared shape
FUSED_TAGS = frozenset(("core", "scan"))


class Access(NamedTuple):
    """A tensor that a kernel reads or writes in one application of a layer.

    Attributes:
        work: equation that reads or writes the tensor.
        label: name of the tensor, with a prefix for a gradient.
        kind: ``weights``, ``cache`` (keys and values), ``state`` (recurrences) or ``activations``.
        factors: axes of the accessed elements, with their lengths.
        bits: bits per element.
        between_steps: whether the tensor is a recurrent state that is loaded or stored once per step.
    """

    work: Work
    label: str
    kind: str
    is_write: bool
    factors: tuple[tuple[str, Extent], ...]
    bits: Fraction
    between_steps: bool = False

    @property
    def form(self) -> Form:
        """Closed form of the number of bits accessed in all applications of the layer."""
        elements = product([self.work.entry.applied, *(factor for _, factor in self.factors)])
        return Form({atoms: -(-factor * self.bits // 1) for atoms, factor in elements.terms.items()})

    def bytes(self, values: Mapping[str, Any]) -> int:
        """Return the number of bytes accessed in all applications.

        The number is rounded because the number of activated experts is an expected value.
        """
        bits = self.form(**values)
        return -(-bits // BITS_A_BYTE) if isinstance(bits, int) else round(float(bits / BITS_A_BYTE))

    def gradient(self, bits: Fraction, *, is_write: bool) -> Access:
        """Return an access to the gradient of the same tensor."""
        return self._replace(label=f"d{self.label}", is_write=is_write, bits=bits)


class Version:
    """The result of one equation, and whether another kernel reads this result."""

    def __init__(self, access: Access, kernel: int) -> None:
        self.access, self.kernel = access, kernel
        self.leaves = self.is_read = False


class LayerKernels:
    """Tensors of one layer, tracked while traversing the equations in execution order."""

    def __init__(self, place: Placed, chosen: list[Work], formats: Formats, fused: bool, training: bool) -> None:
        self.place, self.works, self.formats, self.fused, self.training = place, chosen, formats, fused, training
        self.weights = {tensor.name: tensor for tensor in place.declaration.tensors}
        self.states = {state.name: state for state in place.states}
        self.recurrent = [state for state in self.states.values() if state.role == "recurrent" and len(state.axes) > 2]
        links = place.declaration.links.values()
        self.inputs = {*LAYER_INPUTS, *place.declaration.elsewhere, *(name for pair in links for name in pair)}
        self.inputs |= {name for name, _ in place.declaration.parts}
        self.forget()
        self.optional: dict[tuple[str, ...], list[Form]] = {}  # lengths that may be 0, by the axes of an output
        self.last = {work.equation.out.name: work for work in chosen}  # final value of each tensor
        self.kernel_of = self.kernels()

    def forget(self) -> None:
        """Start without accesses, before the equations are traversed (again, if they are in other kernels)."""
        self.versions: dict[str, Version] = {}
        self.reads: dict[tuple[int, object], Access] = {}
        self.written: list[Version] = []
        self.named: dict[bool, set[str]] = {False: set(), True: set()}  # states that equations read and write

    def is_score(self, axes: tuple[str, ...]) -> bool:
        """Return whether a tensor has one element per query and cached token, like attention scores."""
        return "q" in axes and not self.key_axes.isdisjoint(axes)

    @cached_property
    def key_axes(self) -> frozenset[str]:
        """Token axes of the cached tensors that the equations read."""
        read = (operand for work in self.works for operand in work.equation.operands if operand.name in self.states)
        axes = {axis for operand in read for axis in operand.axes}
        return frozenset(a for a in axes - {"b", "q"} if not isinstance(self.place.extent(a), int))

    def kernels(self) -> list[int]:
        """Return the kernel of each equation. Fused equations that share a tensor belong to the same kernel."""
        count = len(self.works)
        if not self.fused:
            return list(range(count))
        kernel = list(range(count))
        producers: dict[str, int] = {}
        is_fused = [self.is_fused(work) for work in self.works]
        for number, work in enumerate(self.works):
            equation = work.equation
            if is_fused[number]:
                for operand in equation.operands:
                    producer = producers.get(operand.name)
                    if producer is not None and is_fused[producer]:
                        old, new = kernel[producer], kernel[number]
                        kernel = [new if each == old else each for each in kernel]
            elif number and equation.function and self.works[number - 1].equation.function and not is_fused[number - 1]:
                kernel[number] = kernel[number - 1]
            producers[equation.out.name] = number
        return kernel

    def is_fused(self, work: Work) -> bool:
        """Return whether an equation belongs to a fused kernel for attention or a chunked recurrence."""
        equation = work.equation
        if equation.tags & FUSED_TAGS:
            return True
        return any(self.is_score(operand.axes) for operand in (equation.out, *equation.operands))

    def matching_state(self, name: str, axes: tuple[str, ...]) -> State | None:
        """Return the recurrent state that a tensor stores, or None. States are matched by name or by their fixed
        axes.
        """
        if name in self.states:
            return self.states[name]
        if not self.recurrent:
            return None
        fixed = {axis for axis in axes if axis == "b" or isinstance(self.place.extent(axis), int)}
        return next((state for state in self.recurrent if set(state.axes) == fixed), None)

    def axes_of(self, operand: Operand, work: Work) -> tuple[str, ...]:
        """Return the axes of the operand elements that an equation reads (empty for indices and constants)."""
        equation, tensor = work.equation, self.weights.get(operand.name)
        if operand.axes:
            return operand.axes
        if equation.function == "gather" and (tensor or operand.name in self.versions or operand.name in self.inputs):
            return equation.out.axes if operand == equation.operands[0] else ()
        if tensor:
            return tensor.axes
        if operand.name in self.versions and operand.name != equation.out.name:
            return self.versions[operand.name].access.work.equation.out.axes
        return equation.out.axes if operand.name in self.versions or operand.name in self.inputs else ()

    def access(self, operand: Operand, axes: tuple[str, ...], work: Work, *, is_write: bool) -> Access:
        """Return an ``Access`` that describes how an equation reads or writes a tensor."""
        tensor, activations = self.weights.get(operand.name), self.formats.activations
        kind, bits = ACTIVATIONS, activations
        if tensor and not is_write:
            kind, bits = WEIGHTS, self.formats.weights.of(self.place, tensor.name)
        elif not self.training and (state := self.matching_state(operand.name, axes)):
            is_cache = state.role in CACHED
            final = self.last.get(operand.name) is work if is_write else set(axes) & self.key_axes
            if not is_cache or final:
                kind, bits = (CACHE if is_cache else STATE), self.formats.state(state, self.place.extent(axes[-1]))
        factors = self.place.extents(axes)
        if kind == WEIGHTS and tensor and work.equation.function != "gather":
            factors = list(self.weight_factors(tensor, axes, work))
        elif not is_write and (kind == CACHE or all(isinstance(length, int) for _, length in factors)):
            factors += self.executed(work, factors)
        return Access(work, operand.name, kind, is_write, tuple(factors), bits)

    def executed(self, work: Work, known: list[tuple[str, Extent]]) -> list[tuple[str, Extent]]:
        """Return a factor that is 0 if an equation has no rows, unless the ``known`` factors are 0 in this case."""
        axes = work.equation.out.axes
        if axes not in self.optional:
            sizes = [length for length in map(self.place.extent, axes) if isinstance(length, Form)]
            self.optional[axes] = [length for length in sizes if not length.symbols() <= ALWAYS_POSITIVE]
        others = [length for _, length in known]
        if all(length in others for length in self.optional[axes]):
            return []
        return [(EXECUTED, lift(minimum(self.rows(work), 1)))]

    def rows(self, work: Work) -> Form:
        """Return the product of the output axes of an equation that depend on the workload."""
        return product(length for length in map(self.place.extent, work.equation.out.axes) if isinstance(length, Form))

    def weight_factors(self, tensor: Tensor, axes: tuple[str, ...], work: Work) -> Iterator[tuple[str, Extent]]:
        """Yield the factors of a weight access. A weight is read only if the equation has at least one row.

        A routed expert is read if at least one token selects it.
        """
        yield from self.executed(work, [])
        whole, used = tensor.active or ("", "")
        for axis in axes:
            if axis == whole:
                yield TOUCHED, touched(self.place.extent(whole), self.place.extent(used), self.rows(work))
            else:
                yield axis, self.place.extent(axis)

    def accesses(self) -> Iterator[Access]:
        """Yield the reads and writes of every kernel, followed by those of states that do not appear in any
        equation.
        """
        self.forget()
        for work, kernel in zip(self.works, self.kernel_of, strict=True):
            equation = work.equation
            is_view = equation.function in VIEWS and len(equation.operands) == 1
            source = equation.operands[0].name if is_view else None
            if source in self.versions:
                self.versions[equation.out.name] = self.versions[source]
            elif source not in self.inputs:
                for operand in () if is_view else equation.operands:
                    self.read(operand, work, kernel)
                self.write(work, kernel)
        reads, named = self.reads, self.named
        writes = {version: version.access for version in self.written if version.leaves or not version.is_read}
        if self.fused:  # a recurrence keeps its state on chip and moves it once per step
            named = {False: set(), True: set()}
            reads = {key: access for key, access in reads.items() if access.kind != STATE}
            writes = {key: access for key, access in writes.items() if access.kind != STATE}
        yield from reads.values()
        yield from writes.values()
        if self.training:
            for kernel in dict.fromkeys(self.kernel_of):
                own = [access for (number, _), access in reads.items() if number == kernel]
                results = [access for version, access in writes.items() if version.kernel == kernel]
                chosen = [work for work, each in zip(self.works, self.kernel_of, strict=True) if each == kernel]
                yield from self.backward(chosen, own, results)
        elif self.works:
            yield from self.state_accesses(named)

    def read(self, operand: Operand, work: Work, kernel: int) -> None:
        """Add the largest access of a kernel to a tensor that the kernel has not written itself."""
        version, axes = self.versions.get(operand.name), self.axes_of(operand, work)
        if not axes:
            return
        access = self.access(operand, axes, work, is_write=False)
        if version:
            version.is_read = True
            version.leaves |= version.kernel != kernel
        elif access.kind == STATE and (state := self.matching_state(operand.name, axes)):
            self.named[False].add(state.name)
        key = kernel, version or operand.name
        is_own = version is not None and version.kernel == kernel
        if not is_own and (key not in self.reads or _elements(access) > _elements(self.reads[key])):
            self.reads[key] = access

    def write(self, work: Work, kernel: int) -> None:
        """Add the result of an equation."""
        out = work.equation.out
        access = self.access(out, out.axes, work, is_write=True)
        if access.kind == STATE and (state := self.matching_state(out.name, out.axes)):
            self.named[True].add(state.name)
        self.versions[out.name] = version = Version(access, kernel)
        self.written.append(version)

    def state_accesses(self, named: dict[bool, set[str]]) -> Iterator[Access]:
        """Yield one read (in decode steps) and one write per step for each state that the equations do not access."""
        for state in self.states.values():
            if state.role in CACHED:
                continue
            factors = tuple((axis, self.place.extent(axis)) for axis in state.axes)
            bits = self.formats.state(state, factors[-1][1])
            for is_write in (False, True):
                if state.name not in named[is_write] and (is_write or self.place.conventions.phase == "decode"):
                    yield Access(self.works[-1], state.name, STATE, is_write, factors, bits, between_steps=True)

    def backward(self, chosen: list[Work], reads: list[Access], results: list[Access]) -> Iterator[Access]:
        """Yield the accesses of a kernel's backward pass. A contraction has one backward kernel per operand."""
        bits, first = self.formats.activations, chosen[0]
        if len(chosen) == 1 and first.matmul:
            known = [access for access in reads if access.kind == WEIGHTS or access.label in (*self.versions, "x")]
            for target in known[: first.backward_passes]:
                yield from (access.gradient(bits, is_write=False) for access in results)
                yield from (access for access in reads if access is not target)
                yield target.gradient(bits, is_write=True)
        elif any(work.backward_passes and "nograd" not in work.equation.tags for work in chosen):
            yield from (access.gradient(bits, is_write=False) for access in results)
            functions = (work.equation.function for work in chosen)
            if any(function is None or FUNCTIONS[function].saves != "nothing" for function in functions):
                yield from reads
            yield from (access.gradient(bits, is_write=True) for access in reads)


def _elements(access: Access) -> tuple[int, int]:
    """Return a sort key that orders accesses to the same tensor by size."""
    fixed = prod(factor for _, factor in access.factors if isinstance(factor, int))
    return sum(isinstance(factor, Form) for _, factor in access.factors), fixed

"""Traffic of contractions, as declared and as counted in a NumPy model.

The convention is ``unfused``: each contraction reads its operands and writes its result. Elementwise functions are
not compared, because the number of NumPy operations that implement a function is arbitrary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any

from ..calc.kernels import TOUCHED, Access
from ..calc.memory.weight_formats import StoredTensors
from ..calc.sharding import Mesh
from ..calc.traffic import Traffic, traffic
from ..calc.walk import Extent, Placed
from ..core.amount import summed
from ..core.architecture import Architecture
from ..core.equation import Equation, Operand
from ..core.layer import Layer
from ..core.setting import UNFUSED
from ..core.workload import Workload
from ..twins import twin
from ..twins.model import Model
from ..twins.observer import Observer
from ..twins.weights import Array
from .equation_model import generated_models
from .result import Check

RECURRENT = frozenset(("recurrent", "conv"))  # roles of states that a forward pass computes in chunks


def unfused_traffic(small: Architecture, **workload: Any) -> Traffic:
    """Return the declared traffic of a step in which every equation is a kernel."""
    return traffic(small, Workload(**workload), _NoFormats(), kernels=UNFUSED)


class _NoFormats:
    """Weight formats of 0 bits, because only numbers of elements are compared."""

    published, unread = False, ()

    def stored(self, architecture: Architecture, mesh: Mesh | None = None) -> list[StoredTensors]:
        return []


def check(
    which: str, steps: Sequence[Traffic], model: Model, observer: Observer, excluded: Collection[str] = ()
) -> Check:
    """Check the traffic of steps that a NumPy model ran, except for layers of the ``excluded`` kinds."""
    declared = declared_elements(steps, model, observer.n_reads, excluded)
    note = f"without {', '.join(excluded)} (reordered by NumPy)" if excluded else ""
    whole = int(declared) if declared.denominator == 1 else float(declared)
    return Check(f"matmul traffic, {which}", whole, observer.matmul_elements, "elements", note=note)


def declared_elements(
    steps: Sequence[Traffic], model: Model, n_reads: Mapping[str, int], excluded: Collection[str] = ()
) -> Fraction:
    """Return the number of elements that the contractions of equal steps move.

    Args:
        steps: declared traffic of the steps.
        model: NumPy model that ran the steps.
        n_reads: number of experts that the steps read, by weight.
        excluded: kinds that are not counted.
    """
    weights: dict[tuple[Layer, str], set[str]] = {}
    for placed in (layer for stack in model.stacks for layer in stack.layers()):
        for name, full in placed.names.items():
            weights.setdefault((placed.layer, name), set()).add(full)
    entries = [{id(each.work.entry): each.work.entry for each in step.accesses}.values() for step in steps]
    n_applied = summed((entry.layer, entry.applied) for own in entries for entry in own)

    def size(access: Access, step: Traffic) -> Fraction:
        layer, name = access.work.entry.layer, ".".join((*access.work.part, access.label))
        lengths = [_value(length, step) for axis, length in access.factors if axis != TOUCHED]
        if len(lengths) < len(access.factors):  # the mean number of experts that one application reads
            lengths.append(Fraction(sum(n_reads[full] for full in weights[layer, name]), n_applied[layer]))
        return prod(lengths, start=Fraction(access.work.entry.applied))

    counted = ((access, step) for step in steps for access in step.accesses if _is_counted(access, excluded))
    return sum((size(access, step) for access, step in counted), Fraction(0))


def _value(extent: Extent, step: Traffic) -> Fraction:
    return Fraction(extent if isinstance(extent, int) else int(extent(**step.values)))


def _is_counted(access: Access, excluded: Collection[str]) -> bool:
    if access.work.entry.layer.kind() in excluded:
        return False
    if not access.between_steps:
        return access.work.equation.function is None
    # a convolution reads the cached columns together with the new one
    roles = {state.name: state.role for state in access.work.place.states}
    return not access.is_write and roles[access.label] == "conv"


def reordered_kinds(model: Model, forward: Traffic | None = None) -> tuple[str, ...]:
    """Return the kinds that NumPy evaluates in another order than their equations, so that it moves other elements.

    In a ``forward`` pass, NumPy computes recurrences in chunks, and copies the windows of a convolution and the rows
    that each query selects. NumPy modules with ``REORDERS_SUMS`` do so in a decode step as well.
    """
    layers = (placed for stack in model.stacks for placed in stack.layers())
    found = {placed.layer.kind(): None for placed in layers if getattr(placed.module, "REORDERS_SUMS", False)}
    if forward is not None:
        places = {id(access.work.place): access.work.place for access in forward.accesses}
        found |= {place.entry.layer.kind(): None for place in places.values() if _is_reordered(place, forward)}
    return tuple(found)


def _is_reordered(place: Placed, step: Traffic) -> bool:
    if any(state.role in RECURRENT for state in place.states):
        return True
    written: dict[str, Fraction] = {}
    for equation in place.equations:
        if equation.function is None and (_is_convolution(equation) or _selects(equation, place, written, step)):
            return True
        written[equation.out.name] = _size(place, equation.out, step)
    return False


def _is_convolution(equation: Equation) -> bool:
    """Return whether a contraction sums over an axis of one operand, such as the taps of a kernel."""
    counts = Counter(axis for read in equation.operands for axis in read.axes)
    selected = {axis for pair in equation.select for axis in pair}
    return any(counts[axis] < len(equation.operands) for axis in set(equation.contracted) - selected)


def _selects(equation: Equation, place: Placed, written: Mapping[str, Fraction], step: Traffic) -> bool:
    """Return whether a contraction reads only some of the elements that an earlier equation wrote."""
    return any(_size(place, read, step) < written.get(read.name, 0) for read in equation.operands)


def _size(place: Placed, operand: Operand, step: Traffic) -> Fraction:
    return prod((_value(length, step) for _, length in place.extents(operand.axes)), start=Fraction(1))


def without_traffic_of(kinds: Collection[str], model: Model, observer: Observer) -> Model:
    """Return a model with the same weights, whose layers of the given kinds add nothing to ``matmul_elements``."""
    layers = [placed for stack in model.stacks for placed in stack.layers()]
    quiet = {placed.layer.kind(): _Quiet(placed.module, observer) for placed in layers if placed.layer.kind() in kinds}
    if not quiet:
        return model
    found = twin(model.architecture, modules={**generated_models(model.architecture), **quiet})
    found.tensors.update(model.tensors)
    return found


class _Quiet:
    """The NumPy module of a kind, whose contractions add nothing to an observer's ``matmul_elements``."""

    def __init__(self, module: Any, observer: Observer) -> None:
        self._module, self._observer = module, observer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def forward(self, *given: Any) -> Array:
        """Run the module."""
        before = self._observer.matmul_elements
        output = self._module.forward(*given)
        self._observer.matmul_elements = before
        return output

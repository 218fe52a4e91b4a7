"""Closed-form FLOPs of every equation of an architecture."""

from __future__ import annotations

from collections.abc import Container, Iterator
from fractions import Fraction
from itertools import chain

from ..core.architecture import Architecture
from ..core.equation import Equation
from ..core.form import Form, log2, product
from ..core.functions import FUNCTIONS
from ..core.ledger import Entry, matrix_shape
from ..core.record import OF_LAYERS, NamedTuple, remembered
from .walk import Conventions, Extent, Placed, walk

_EquationWork = tuple[Equation, tuple[tuple[str, Extent], ...], Form, bool]
_LayerWorks = tuple[Placed, list[_EquationWork]]  # the place keeps the identities unique

MAC = 2  # FLOPs of one multiply-accumulate
STAGES = "n_stages"  # factor of a Fourier transform: log2(n)


class Work(NamedTuple):
    """An equation in a layer, with the factors and FLOPs of one application."""

    place: Placed
    equation: Equation
    factors: tuple[tuple[str, Extent], ...]
    flops: Form
    matmul: bool

    @property
    def entry(self) -> Entry:
        """Layer that contains the equation."""
        return self.place.entry

    @property
    def part(self) -> tuple[str, ...]:
        """Path of the inner layer, or empty for the layer itself."""
        return self.place.part

    @property
    def backward_passes(self) -> int:
        """Ratio of backward to forward FLOPs. A contraction has one backward pass per operand with a gradient."""
        tags = self.equation.tags
        if self.entry.stack.frozen or (self.matmul and "nograd" in tags):
            return 0
        return 1 if self.matmul and "constant" in tags else 2

    @property
    def weight_passes(self) -> int:
        """Ratio of the FLOPs of weight gradients to forward FLOPs, which frozen weights save in the backward pass."""
        weights = {tensor.name for tensor in self.place.declaration.tensors}
        own = sum(operand.name in weights for operand in self.equation.operands)
        return min(own, self.backward_passes) if self.matmul else 0

    def adapter_ratio(self, rank: int, targets: Container[str]) -> Fraction:
        """Ratio of the forward FLOPs of low-rank adapters of a weight to those of the weight, rank · (1/in + 1/out)."""
        found = Fraction(0)
        if not self.matmul or self.entry.stack.frozen:
            return found
        names = {operand.name for operand in self.equation.operands}
        for tensor in self.place.declaration.tensors:
            if tensor.name in names and tensor.name in targets and tensor.linear and not tensor.active:
                _, outputs, inputs = matrix_shape(tensor, self.place.declaration)
                found += Fraction(rank, inputs) + Fraction(rank, outputs)
        return found


def works(architecture: Architecture, conventions: Conventions) -> tuple[Work, ...]:
    """Return the FLOPs of every executed equation. Equal blocks of a run are listed once."""
    layers = works_by_layer(architecture, conventions)
    return remembered(architecture, "_works", conventions, lambda: tuple(chain.from_iterable(layers)), most=16)


def works_by_layer(architecture: Architecture, conventions: Conventions) -> list[list[Work]]:
    """Return the FLOPs of the executed equations of each layer."""

    def compute() -> list[list[Work]]:
        return [own for place in walk(architecture, conventions) if (own := place_works(architecture, place))]

    return remembered(architecture, "_works_by_layer", conventions, compute, most=16)


def place_works(architecture: Architecture, place: Placed) -> list[Work]:
    """Return the FLOPs of every executed equation of a layer, which are found once for equal layers."""
    torch = place.conventions.convention == "torch"
    known = remembered(architecture, f"{OF_LAYERS}_works", None, dict[tuple[object, ...], _LayerWorks])
    key = place.identity
    if key not in known:
        known[key] = place, own = place, list[_EquationWork]()
        for equation in place.equations:
            parts = tuple(factors(equation, place))
            matmul = equation.function is None and not (torch and "elementwise" in equation.tags)
            own.append((equation, parts, product(factor for _, factor in parts), matmul))
    return [Work(place, *each) for each in known[key][1]]


def factors(equation: Equation, place: Placed) -> Iterator[tuple[str, Extent]]:
    """Yield (axis, factor) for each factor in an equation's FLOPs.

    The first factor has no axis. For a contraction, it is 2 FLOPs per multiply-accumulate. For a function, it is
    the FLOPs per element (per point and stage for an FFT). All other factors are axis lengths.
    """
    yield "", MAC if equation.function is None else FUNCTIONS[equation.function].flops
    yield from place.extents(equation.loops)
    if equation.function is not None and equation.over:
        yield STAGES, log2(place.extent(equation.over))

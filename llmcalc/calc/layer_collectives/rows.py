"""Reductions over divided rows: the statistics of norms, and the loss over a divided vocabulary."""

from __future__ import annotations

from ...core.equation import Equation
from ...core.functions import FUNCTIONS
from ..collectives import ALL_GATHER, ALL_REDUCE, BACKWARD, FORWARD
from .declaration_scope import DeclarationScope, Version

LOSS_REDUCTIONS = ("maximum", "sum of exponentials", "target logit")
WITH_MAXIMUM = ("softmax",)  # functions of a row with its maximum, through which no gradient flows
FP32_BITS = 32


def reduce_statistics(scope: DeclarationScope, equation: Equation) -> None:
    """Record the reduction of the statistics of rows that are divided over ranks, such as those of a norm."""
    rows, count = equation.rows, FUNCTIONS[equation.function].statistics if equation.function else 0
    if count and (ranks := scope.shards(equation.out.axes) // scope.shards(rows)) > 1:
        name, axes = f"statistics of {equation.out.name}", tuple(a for a in rows if a in equation.out.axes)
        n_backward = count - (equation.function in WITH_MAXIMUM)
        for phase, number in ((FORWARD, count), (BACKWARD, n_backward)):
            scope.add(ALL_REDUCE, ("tp", ranks), name, phase, axes, (("n_statistics", number),), bits=FP32_BITS)


def reduce_loss(scope: DeclarationScope, logits: Version) -> None:
    """Record the vocabulary-parallel loss, or the gathering of the logits in serving."""
    ranks = scope.shards(logits.axes)
    if not scope.declaration.logits or ranks == 1:
        return
    if not scope.recorder.training:
        division, extent = scope.declaration.division, scope.place.extent
        sizes = ((axis, extent(axis), division(axis) == "vocabulary") for axis in logits.axes)
        padded = tuple((axis, scope.mesh.padded(size) if is_divided and isinstance(size, int) else size)
                       for axis, size, is_divided in sizes)  # fmt: skip
        scope.add(ALL_GATHER, ("tp", ranks), logits.name, FORWARD, (), padded)
        return
    axes = tuple(axis for axis in logits.axes if scope.shards((axis,)) == 1)
    for name in LOSS_REDUCTIONS:
        scope.add(ALL_REDUCE, ("tp", ranks), name, FORWARD, axes, bits=FP32_BITS)

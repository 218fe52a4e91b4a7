"""Published models near a planned size, with memory per GPU and the number of tokens that the budget covers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ..calc.flops import flops
from ..calc.memory.fit import Fit, read_size
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.errors import SizeError
from ..core.record import record
from ..estimate.cost import Machine
from ..estimate.scaling.query import Plan
from ..fitting.check import check_fit
from ..inputs.defaults import RESERVE
from ..inputs.models import read_model

USUAL = ("llama3.2-1b", "llama3.2-3b", "llama3.1-8b", "llama3.1-70b", "llama3.1-405b")
RECOMPUTE = "full"
SIMILAR = 4  # largest ratio of the parameters of a model to the planned number


@record
class Shape:
    """A published model that could be trained within a budget.

    Attributes:
        architecture: published model.
        parameters: number of active parameters.
        tokens: number of training tokens that the budget covers, based on exact FLOPs per token.
        fit: memory per GPU for one sequence with ZeRO-3 over all GPUs and full recomputation, or None if no GPUs
            are given or the model cannot be sharded.
    """

    architecture: Architecture
    parameters: int
    tokens: int
    fit: Fit | None


def reference_shapes(plan: Plan, seq: int, names: Sequence[str] = ()) -> list[Shape]:
    """Return the next smaller and next larger models, or an empty list if the plan's size was given. Without ``names``,
    published models of similar size.
    """
    machine = plan.budget.machine if plan.budget else None
    if not names and (machine is None or not plan.query.free):
        return []
    size, compute, reserve = plan.middle("parameters"), plan.middle("compute"), read_size(RESERVE, "reserve")
    known = [read_model(name) for name in tuple(names) or USUAL]
    if not names:
        known = [one for one in known if 1 / SIMILAR <= params(one).active / size <= SIMILAR]
    ordered = sorted(known, key=lambda one: params(one).active)
    below = [one for one in ordered if params(one).active <= size][-1:]
    above = [one for one in ordered if params(one).active > size][:1]
    return [_shape(one, compute, seq, machine, reserve) for one in (*below, *above)]


def _shape(architecture: Architecture, compute: float, seq: int, machine: Machine | None, reserve: int) -> Shape:
    step = flops(architecture, seq=seq, mode="train", extend=True)
    held = None
    if machine is not None:
        with suppress(SizeError):
            held = check_fit(
                architecture, machine.accelerator.usable_bytes, reserve, machine.count, mode="training", batch=1,
                seq=seq, recompute=RECOMPUTE, extend=True,
            )  # fmt: skip
    return Shape(architecture, params(architecture).active, round(compute * step.tokens / step.matmul), held)

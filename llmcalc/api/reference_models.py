"""Published shapes of about some size: what a budget trains them on, and what they need on each accelerator."""

from __future__ import annotations

from collections.abc import Iterable

from ..calc.flops import flops
from ..calc.memory.fit import Fit
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.errors import SizeError
from ..core.record import record
from ..estimate.cost import Machine
from .fit import fit
from .load import load

USUAL = ("llama3.2-1b", "llama3.2-3b", "llama3.1-8b", "llama3.1-70b", "llama3.1-405b")
RECOMPUTE = "full"


@record
class Shape:
    """A model that a budget could train.

    Attributes:
        architecture: the model.
        parameters: those that a token uses.
        tokens: what the budget trains it on, by its exact FLOPs a token.
        fit: memory on each accelerator, a sequence on each, everything divided over all (ZeRO-3) and computed again;
            None: no accelerator is given, or they cannot share the model so.
    """

    architecture: Architecture
    parameters: int
    tokens: int
    fit: Fit | None


def shapes(
    size: float, compute: float, seq: int, machine: Machine | None, reserve: int, names: Iterable[str] = ()
) -> list[Shape]:
    """The models next below and next above a size."""
    known = [load(name) for name in tuple(names) or USUAL]
    ordered = sorted(known, key=lambda one: params(one).active)
    below = [one for one in ordered if params(one).active <= size][-1:]
    above = [one for one in ordered if params(one).active > size][:1]
    return [_shape(one, compute, seq, machine, reserve) for one in (*below, *above)]


def _shape(architecture: Architecture, compute: float, seq: int, machine: Machine | None, reserve: int) -> Shape:
    step = flops(architecture, seq=seq, mode="train", extend=True)
    held = None
    if machine is not None:
        try:
            held = fit(
                architecture, machine.accelerator.memory_bytes, reserve, machine.count, mode="training", batch=1,
                seq=seq, recompute=RECOMPUTE, extend=True,
            )  # fmt: skip
        except SizeError:
            held = None
    return Shape(architecture, params(architecture).active, round(compute * step.tokens / step.matmul), held)

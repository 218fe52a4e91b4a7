"""Comparison of the declared collectives with those of NumPy models on simulated ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from ..calc.sharding import Mesh
from ..core.architecture import Architecture, Block, Run, Stack, Sublayer, declare
from ..core.errors import InputError
from ..core.layer_history import change_sublayer
from ..twins.plan import place_stack
from .equation_model import generated_models
from .result import Check
from .sharded_run import ShardedRun, divisible, sharded_run

MESH = Mesh(tp=2)
SEQ = 6
TOLERANCE = 1e-8  # of outputs and gradients


def sharded_checks(small: Architecture) -> Iterator[Check]:
    """Yield a check of the collectives of sub-layers that read only the residual stream. A note names the others."""
    found: dict[Sublayer, ShardedRun | None] = {}
    for stack in small.stacks:
        for sublayer in (sublayer for run in stack.runs for sublayer in run.block.sublayers):
            if sublayer not in found:
                found[sublayer] = run_alone(stack.d_model, sublayer)
    if not found:
        return
    results = [(sublayer.name, run) for sublayer, run in found.items() if run]
    wrong = [name for name, run in results if max(run.errors.values()) > TOLERANCE]
    different = [name for name, run in results if run.exchanged != run.declared]
    others = dict.fromkeys(sublayer.name for sublayer, run in found.items() if not run)
    texts = [f"wrong results: {', '.join(wrong)}"] * bool(wrong)
    texts += [f"different: {', '.join(different)}"] * bool(different)
    declared, observed = (sum(sum(run[at].values()) for _, run in results) for at in (2, 1))
    note = f"of {len(results)} sub-layer{'s' * (len(results) != 1)}" + f", not run: {', '.join(others)}" * bool(others)
    yield Check(f"collectives, tp {MESH.tp}", declared, observed, "elements", detail="; ".join(texts), note=note)


@lru_cache(maxsize=1024)
def run_alone(d_model: int, sublayer: Sublayer, mesh: Mesh = MESH) -> ShardedRun | None:
    """Run one sub-layer, or return None if it has layers that are not compared, or reads more than the residual
    stream.
    """
    if not all(_is_compared(layer) for _, layer in sublayer.layers()):
        return None
    try:
        part = change_sublayer(replace(sublayer, share=""), partial(divisible, mesh=mesh))
        widths = {getattr(branch.layer, branch.layer.INPUT_WIDTH, d_model) for branch in part.branches}
        if widths != {d_model} or any((sublayer.concat_input, sublayer.input_from, sublayer.residual_from)):
            return None
        stack = Stack("decoder", d_model, (), (Run(Block("block", (part,)), 1),), ())
        models = generated_models(Architecture("alone", (stack,)))
        has_streams = any(hasattr(layer.module, "connect") for layer in place_stack(stack, models).layers())
        return None if has_streams else sharded_run(stack, mesh, batch=1, seq=SEQ)
    except (InputError, NotImplementedError):  # other inputs, or functions that simulated ranks do not implement
        return None


def _is_compared(layer: Any) -> bool:
    """Return whether the collectives of a layer are compared. The rows of the layer must be the tokens of the sequence,
    and the layer must declare all collectives.
    """
    has_other_rows = getattr(layer, "sequence", None) or getattr(layer, "merge", 1) > 1 or "q" in declare(layer).axes
    if has_other_rows or layer.NEEDS_SQUARE_IMAGE or layer.READS_EARLIER_LAYERS:
        return False
    return not any(part.layer and part.layer.undeclared_collectives() for _, part in declare(layer).walk())

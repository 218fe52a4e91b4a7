"""Comparison of the declared collectives with those of NumPy models on simulated ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from ..calc.sharding import Mesh
from ..core.architecture import Architecture, Block, Run, Stack, Sublayer, declare
from ..core.errors import InputError
from ..core.layer import Layer
from ..core.part import nested_fields
from ..core.zoo_search import ZOO
from ..twins.plan import place_stack
from .result import Check
from .sharded_run import ShardedRun, divisible, sharded_run

MESH = Mesh(tp=2)
SEQ = 6
TOLERANCE = 1e-8  # of outputs and gradients


def sharded_checks(small: Architecture) -> Iterator[Check]:
    """Yield a check of the collectives of all sub-layers that read only the residual stream."""
    found: dict[Sublayer, ShardedRun] = {}
    for stack in small.stacks:
        for sublayer in (sublayer for run in stack.runs for sublayer in run.block.sublayers):
            if sublayer not in found and (result := run_alone(stack.d_model, sublayer)):
                found[sublayer] = result
    if not found:
        return
    wrong = [sublayer.name for sublayer, run in found.items() if max(run.errors.values()) > TOLERANCE]
    different = [sublayer.name for sublayer, run in found.items() if run.exchanged != run.declared]
    texts = [f"wrong results: {', '.join(wrong)}"] * bool(wrong)
    texts += [f"different: {', '.join(different)}"] * bool(different)
    declared, observed = (sum(sum(run[at].values()) for run in found.values()) for at in (2, 1))
    name, note = f"collectives, tp {MESH.tp}", f"of {len(found)} sub-layers"
    yield Check(name, declared, observed, "elements", detail="; ".join(texts), note=note)


@lru_cache(maxsize=1024)
def run_alone(d_model: int, sublayer: Sublayer) -> ShardedRun | None:
    """Run one sub-layer, or return None if it has layers that are not compared, or reads more than the residual
    stream.
    """
    if not all(_is_compared(layer) for _, layer in sublayer.layers()):
        return None
    branches = tuple(replace(branch, layer=divisible(branch.layer, MESH)) for branch in sublayer.branches)
    widths = {getattr(branch.layer, branch.layer.INPUT_WIDTH, d_model) for branch in branches}
    if widths != {d_model} or any((sublayer.concat_input, sublayer.input_from, sublayer.residual_from)):
        return None
    block = Block("block", (replace(sublayer, branches=branches, share=""),))
    stack = Stack("decoder", d_model, (), (Run(block, 1),), ())
    try:
        has_streams = any(hasattr(layer.module, "connect") for layer in place_stack(stack).layers())
        return None if has_streams else sharded_run(stack, MESH, batch=1, seq=SEQ)
    except InputError:
        return None


def _is_compared(layer: Layer) -> bool:
    """Return whether the collectives of a layer are compared.

    Kinds of the zoo are not, and neither are layers whose rows are not the tokens of the sequence, or layers with an
    option whose collectives are not all declared.
    """
    if f".{ZOO}." in type(layer).__module__ or getattr(layer, "sequence", None) or "q" in declare(layer).axes:
        return False
    fields = {path: value for path, value, *_ in nested_fields(layer)}
    options = (option.partition("=") for option in layer.UNDECLARED_COLLECTIVES)
    return not any(fields[name] == wanted if wanted else fields[name] for name, _, wanted in options)

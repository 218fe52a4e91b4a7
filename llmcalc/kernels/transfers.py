"""Bytes and time of the collectives of a step."""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt

from ..calc.collectives import ALL_REDUCE, ALL_TO_ALL, SEND, Collective
from ..calc.memory.number_formats import BITS_A_BYTE
from ..core.arrays import Number, namespace
from ..core.form import Form
from ..core.record import changed
from ..core.type_names import TYPE_CHECKING
from . import kernels
from .cost import ACTIVATION_BYTES, StepTime
from .exchange import chosen_experts, copies, exchange_seconds, groups_of
from .step_operations import DECODE

if TYPE_CHECKING:
    from ..serving.step.step import StepModel, Values
    from .kernel_costs import KernelCosts

GATHER = "all-gather"  # whose measured times are those of a transfer between two ranks
CUSTOM = "all-reduce-custom"  # all-reduce of inference engines, for small tensors


def message_bytes(model: KernelCosts, each: Collective, elements: Form, values: Mapping[str, Number]) -> Number:
    """Return the bytes of the tensor of one collective, which has ``elements`` elements in all executions."""
    size: Number = elements(**values) / each.times / each.shards * (each.bits / BITS_A_BYTE)
    if each.kind == ALL_TO_ALL and each.place:
        chosen = chosen_experts(each)
        size = size * copies(each.ranks, chosen, model.accelerator.node, groups_of(each)) / chosen
    if each.group == "etp":  # an expert on ranks with different tokens gathers and scatters those of all ranks
        size = size * max(model.mesh.expert_tp // model.mesh.tp, 1)
    return size


def collective_seconds(model: KernelCosts, each: Collective, moved: Number, span: int = 1) -> Number:
    """Return the time of one collective, between ranks that are spread over ``span`` neighbours if that is more."""
    own = model.device.between(max(each.ranks, span))
    if each.ranks > model.accelerator.node:
        own = changed(own, link=own.network)
    seconds = kernels.collective(each.kind, each.ranks, moved, own, model.coefficients("collectives", each.kind))
    if each.kind == ALL_REDUCE and each.ranks <= model.accelerator.node:
        custom = kernels.engine_all_reduce(each.ranks, moved, own, model.coefficients("collectives", CUSTOM))
        seconds = namespace(moved).minimum(seconds, custom)
    return seconds * (moved > 0)


def transfers(model: StepModel, values: Mapping[str, Values]) -> tuple[dict[str, Number], Number]:
    """Return the time of collectives by group of ranks, and how long the ranks wait for the last one.

    Decoded and prefilled tokens are exchanged together. The wait is the expected maximum over the ranks, as a
    multiple of the deviation of one rank.
    """
    found: dict[str, Number] = {}
    waits: Number = 0.0
    first = next(iter(values), DECODE)
    for exchange in model.exchanges_of(values):
        if first not in exchange.phases:
            continue
        each = exchange.phases[first][0]
        moved = sum(
            message_bytes(model, *exchange.phases[phase], values[phase]) for phase in values if phase in exchange.phases
        )
        name, times = f"{each.kind} ({each.group})", exchange.number * each.times
        if each.kind == ALL_TO_ALL and each.ranks > model.accelerator.node:
            seconds = exchange_seconds(model, exchange.phases, values)
        else:
            seconds = collective_seconds(model, each, moved)
        found[name] = found.get(name, 0.0) + times * seconds
        waits = waits + times * sqrt(2 * log(each.ranks)) * (moved > 0)
    if model.mesh.pp > 1:
        found["send (pp)"] = hand_over_seconds(model, sum(own["b"] * own["q"] for own in values.values()))
    return found, waits


def hand_over_seconds(model: StepModel, tokens: Number) -> Number:
    """Return the time to send the residual stream of ``tokens`` tokens through all pipeline stages.

    Nodes are filled with stages in order, so that as few hand-overs as possible leave a node.
    """
    mesh, own = model.mesh, model.coefficients("collectives", GATHER)
    moved = tokens * max(stack.d_model for stack in model.architecture.stacks) * ACTIVATION_BYTES
    leaving = min(-(-mesh.ranks // model.accelerator.node), mesh.pp) - 1
    device = model.device.between(mesh.ranks)
    found: Number = 0.0
    for number, link in ((mesh.pp - 1 - leaving, device.link), (leaving, device.network)):
        if number:
            found = found + number * kernels.collective(SEND, 2, moved, changed(device, link=link), own)
    return found


def delayed_by_stages(model: StepModel, step: StepTime, batches: Number | None) -> StepTime:
    """Return a decode step with its wait for ``batches`` batches (default: all possible ones) in a pipeline.

    Stages would not wait for each other if all batches took the same time and the scheduler had one for each stage.
    """
    stages = model.stage_batches
    if stages == 1:
        return step
    wait = model.engine.stage_wait * ((stages if batches is None else batches) - 1) * step.seconds
    return step._replace(collectives={**step.collectives, "wait (pp)": wait})

"""Derivation of a latency: the time of each operation from its bytes and FLOPs."""

from __future__ import annotations

from ..core.amount import group_by
from ..core.tree import Node, total
from ..kernels.cost import Cost
from ..kernels.operations import Attention, Convolution, Gemm, GroupedGemm, Operation, Scan
from .latency_times import DECODE, Latency
from .memory import engine_title

UNIT, NANO = "ns", 1e-9
KINDS: dict[type[Operation], str] = {
    Gemm: "matrix product", GroupedGemm: "products of experts", Attention: "attention", Scan: "recurrence",
    Convolution: "convolution",
}  # fmt: skip


def latency_tree(result: Latency) -> Node:
    """Return a tree of the time of a batch, down to the bytes and FLOPs of each operation."""
    steps = [_step(result, number) for number in range(len(result.steps))]
    return steps[0] if len(steps) == 1 else total(result.mode, steps, UNIT)


def _step(result: Latency, number: int) -> Node:
    step, times = result.steps[number]
    first = "forward pass" if result.is_encoder else "prefill"
    label = "decode step" if result.mode == DECODE else "decode steps" if number else first
    model, engine = result.model, result.model.engine
    gaps = f"gaps of {(engine.kernel_s if number or result.mode == DECODE else engine.static_kernel_s) * 1e6:.3g} µs"
    parts = group_by(step.operations, lambda each: each[0].component)
    bandwidth = float(model.device.bandwidth)
    nodes = [total(name, [_operation(*each, times, bandwidth) for each in own], UNIT) for name, own in parts.items()]
    nodes += [Node(name, _ns(float(each), times), UNIT) for name, each in step.collectives.items()]
    nodes.append(Node("between kernels", _ns(float(step.launches), times), UNIT, note=gaps))
    if step.engine:
        note = f"scheduling and sampling of {engine_title(engine.name)}"
        nodes.append(Node("engine", _ns(float(step.engine), times), UNIT, note=note))
    note = "in nanoseconds" + (f", {times:.4g} steps" if times != 1 else "")
    return total(label, nodes, UNIT, note=note)


def _operation(operation: Operation, cost: Cost, times: float, bandwidth: float) -> Node:
    """Return the time of an operation: of its bytes or its FLOPs, whichever is longer, divided by an efficiency."""
    count, seconds = operation.count, float(cost.seconds)
    quotient, value = "bytes / bandwidth", f"{float(cost.moved):.4g} / {bandwidth:.4g}"
    if cost.compute > cost.memory:
        quotient, value = "FLOPs / peak", f"{float(cost.flops):.4g} / {float(cost.flops / cost.compute):.4g}"
    blocks = ("n_blocks·", f"{count}·") if count > 1 else ("", "")
    efficiency = float(max(cost.memory, cost.compute)) / seconds
    formula, substituted = f"{blocks[0]}{quotient} / efficiency", f"{blocks[1]}{value} / {efficiency:.3g}"
    kind = KINDS.get(type(operation), "functions")
    return Node(", ".join(operation.names), _ns(count * seconds, times), UNIT, formula, substituted, note=kind)


def _ns(seconds: float, times: float) -> int:
    return round(seconds * times / NANO)

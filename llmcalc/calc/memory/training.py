"""Training memory: weights, gradients, optimizer states, kept activations, and the largest moment of the step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import Any

from ...core.architecture import Architecture, Stack, declare
from ...core.record import record
from ...core.workload import Workload, symbols
from ..params import params
from ..sharding import Mesh
from .liveness import STREAM, Trace
from .model_states import Recipe
from .recompute import SINGLE, Policy
from .timeline import Fixed, Loss, Moment, Segment, moments
from .zero import Part, Place, Sizes, parts, sizes

DIVIDED_OPTIMIZER, DIVIDED_GRADIENTS, DIVIDED_WEIGHTS = 1, 2, 3  # from which ZeRO stage on


@record
class TrainingMemory:
    """Memory of a training step on one rank, in bytes.

    ``weights``, ``gradients`` and ``optimizer`` (with a master copy, if there is one) are what the step needs in full;
    ``activations`` what is kept after the forward pass; ``peak`` is the largest moment, ``phase`` says which.
    """

    architecture: Architecture
    workload: Workload
    policy: Policy
    recipe: Recipe
    mesh: Mesh
    timeline: tuple[Moment, ...]
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @cached_property
    def largest(self) -> Moment:
        """The largest moment with its parts."""
        return max(self.timeline, key=lambda moment: moment.total)

    @property
    def peak(self) -> int:
        """Bytes at the largest moment."""
        return self.largest.total

    @property
    def phase(self) -> str:
        """Which moment is the largest."""
        return self.largest.phase

    @property
    def state(self) -> int:
        """Training keeps no state across steps of decoding."""
        return 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        parts = self.largest._asdict()
        names = ("peak", "phase", "weights", "gradients", "optimizer", "activations", "state")
        return {**{name: getattr(self, name) for name in names}, "at_peak": parts}


def training_memory(
    architecture: Architecture,
    workload: Workload,
    policy: Policy,
    recipe: Recipe,
    mesh: Mesh,
    in_flight: tuple[int, int] = (1, 1),
) -> TrainingMemory:
    """The memory of one training step on one rank.

    ``in_flight`` is the number, as a fraction, of micro-batches whose activations are held at once.
    """
    held = sizes(architecture, recipe, mesh)
    if policy.convention == "torch" and architecture.layout:  # the optimizer steps over tensors as they are stored
        shapes = (shape for _, shape in params(architecture).tensors("transformers"))
        held = held._replace(largest=max(map(prod, shapes)))
    weights = held.weights.on(mesh, mesh.zero >= DIVIDED_WEIGHTS)
    gradients = held.gradients.on(mesh, mesh.zero >= DIVIDED_GRADIENTS)
    optimizer = held.optimizer.on(mesh, mesh.zero >= DIVIDED_OPTIMIZER)
    places, loss = _segments(architecture, workload, policy, mesh)
    segments = (
        _divided(places, parts(architecture, recipe, mesh), recipe, mesh)
        if mesh.zero >= DIVIDED_GRADIENTS
        else list(places.values())
    )
    table = held.table * recipe.gradients
    blocks = sum(segment.kept * segment.count for segment in segments)
    waiting = max(-(-blocks * (in_flight[0] - in_flight[1]) // in_flight[1]), 0)
    temporaries = recipe.temporaries * held.largest * recipe.weights
    first, gathered = _there(held, recipe, mesh, gradients)
    fixed = Fixed(weights, optimizer, gradients, temporaries, 2 * table, waiting, first, gathered)
    timeline = tuple(moments(segments, loss, fixed))
    kept = blocks + waiting + loss.kept
    return TrainingMemory(architecture, workload, policy, recipe, mesh, timeline, weights, gradients, optimizer, kept)


def kept_tensors(
    architecture: Architecture, workload: Workload, policy: Policy, mesh: Mesh
) -> Iterator[tuple[str, int]]:
    """(name, bytes) of every tensor kept after the forward pass, without recomputation; that of the loss last."""
    segments, loss = _segments(architecture, workload, policy, mesh)
    for segment in segments.values():
        for _ in range(segment.count):
            yield from ((f"{segment.label}.{kept.name}", kept.bytes) for kept in segment.trace.kept.values())
    if loss.kept:
        yield "loss", loss.kept


def _there(held: Sizes, recipe: Recipe, mesh: Mesh, gradients: int) -> tuple[int, int]:
    """Gradients that are there when a micro-batch begins, and weights that are gathered throughout."""
    piped = mesh.pp > 1
    gathered = held.weights.whole(mesh) if piped and mesh.zero >= DIVIDED_WEIGHTS else 0
    if recipe.buffered or (mesh.batches > 1 and not piped):
        return gradients, gathered
    return held.gradients.on(mesh, divided=False) if mesh.batches > 1 else 0, gathered


def _divided(places: dict[Place, Segment], held: dict[Place, Part], recipe: Recipe, mesh: Mesh) -> list[Segment]:
    """Segments whose gradients (and weights) are whole only while they are computed."""
    found = []
    for place, segment in places.items():
        part = held.get(place, Part())
        whole = 0 if recipe.buffered or mesh.pp > 1 else part.made.whole(mesh)
        if whole and not segment.outside:
            own = part.gradients.on(mesh, divided=True)
            segment = segment._replace(gradients=-(-own // segment.count) if segment.shared else own)
        gathered = part.weights.whole(mesh) if mesh.zero >= DIVIDED_WEIGHTS and mesh.pp == 1 else 0
        found.append(segment._replace(gathered=gathered, whole=whole))
    return found


def _segments(
    architecture: Architecture, workload: Workload, policy: Policy, mesh: Mesh
) -> tuple[dict[Place, Segment], Loss]:
    """What stands between checkpoints, by place and in the order of the forward pass."""
    single_stack, values = not architecture.is_encoder_decoder, workload.values(architecture)
    found: dict[Place, Segment] = {}
    loss = Loss(0, 0)
    end: Place | None = None  # of the last stack of tokens
    for stack in architecture.stacks:
        if stack.unused or stack.frozen:  # no gradient is asked for, so nothing is kept
            continue
        names = symbols(stack, single_stack, convention=policy.convention)

        def new() -> Trace:
            trace = Trace(policy, names, values, mesh)  # noqa: B023 (used within this turn of the loop)
            wide = {"hs": streams_of(stack), "d": stack.d_model}  # noqa: B023
            trace.stream_bytes = trace.size(("b", "q", *wide), wide, policy.bytes)
            return trace

        found[stack.name, "inputs"] = _outside(stack, "inputs", new())
        for number, run in enumerate(stack.runs):
            trace = new()
            trace.block(run.block, STREAM)
            if number == 0:
                found[stack.name, "inputs"] = _handed_on(found[stack.name, "inputs"], trace)
            held = sum(kept.bytes for kept in trace.kept.values())
            checkpointed = policy.recompute == "full"
            kept = trace.stream_bytes if checkpointed else held
            inner = held + kept if checkpointed else held
            gradients = sum(step.weight_bytes for step in trace.steps)
            shared = -(-gradients // run.count) if run.shared else gradients
            segment = Segment(run.block.name, run.count, kept, inner, trace, shared, shared=run.shared)
            found[stack.name, number] = segment
        found[stack.name, "outputs"] = outputs = _outside(stack, "outputs", new())
        if end and not stack.inputs and stack.runs and policy.recompute != "full":
            found[end] = _goes_on(found[end], found[stack.name, 0].trace)
        if not stack.patch:
            end = stack.name, "outputs" if stack.outputs else len(stack.runs) - 1
        loss = _loss(stack, outputs.trace, policy) or loss
    return found, loss


def streams_of(stack: Stack) -> int:
    """Residual streams side by side, which a block gets and gives."""
    layers = (part.pre or part.branches[0].layer for run in stack.runs for part in run.block.sublayers)
    return max((int(declare(layer).axes.get("hs", 1)) for layer in layers), default=1)


def _handed_on(inputs: Segment, block: Trace) -> Segment:
    """What stands in front of the blocks, without the stream that it hands on and that the first block keeps too."""
    if STREAM in block.kept:
        for name in inputs.trace.ends & inputs.trace.kept.keys():
            size = inputs.trace.kept[name].bytes
            if size != block.kept[STREAM].bytes:  # several streams, of which that is the first
                continue
            del inputs.trace.kept[name]
            inputs = inputs._replace(kept=inputs.kept - size, inner=inputs.inner - size)
    return inputs


def _goes_on(last: Segment, block: Trace) -> Segment:
    """The end of a stack whose stream goes on in another one, without the stream that a first block there keeps too."""
    streams = [name for name in last.trace.kept if name.startswith("stream")]
    if STREAM not in block.kept or not streams or last.count > 1:
        return last
    size = last.trace.kept.pop(streams[-1]).bytes
    return last._replace(kept=last.kept - size, inner=last.inner - size)


def _outside(stack: Stack, section: str, trace: Trace) -> Segment:
    stream = STREAM
    for _, layer in getattr(stack, section):
        stream = trace.layer(layer, stream)
    trace.end(stream, stream=section == "inputs")
    if section == "inputs":
        trace.source(stack)
    held = sum(kept.bytes for kept in trace.kept.values())
    gradients = sum(step.weight_bytes for step in trace.steps)
    return Segment(section, 1, held, held, trace, gradients, outside=True)


def _loss(stack: Stack, trace: Trace, policy: Policy) -> Loss | None:
    """Cross-entropy keeps the log-probabilities; its backward pass makes two tensors as large. A fused kernel keeps the
    logits as they are, and makes none.
    """
    head = next((layer for _, layer in stack.outputs if layer.kind() == "head"), None)
    if head is None:
        return None
    width = SINGLE if getattr(head, "loss_in_fp32", True) else policy.bytes
    fused = policy.loss == "fused"
    declaration = declare(head)
    rows = "o" if isinstance(declaration.axes.get("o"), int) else "q"  # logits of a fixed number of positions
    axes = ("b", rows, *("nc" for axis in declaration.axes if axis == "nc"), "V")
    size = trace.size(axes, declaration, policy.bytes if fused else width)
    return Loss(size, 0 if fused else 2 * size)

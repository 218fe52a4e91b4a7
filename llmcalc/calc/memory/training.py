"""Training memory for weights, gradients, optimizer states and saved activations, and the peak of one step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from itertools import groupby

from ...core.amount import Sum, largest, product, scaled
from ...core.architecture import PREDICTION, Architecture, Block, Stack, declare, model_of
from ...core.declaration import Declaration
from ...core.form import Form
from ...core.ledger import elements
from ...core.record import changed, record, remembered
from ...core.type_names import Any
from ...core.workload import Workload
from ..sharding import Mesh
from ..walk import Conventions, executed_stacks
from . import zero
from .dropped_tensors import Stored, stored_tensors
from .eager_code import FP32
from .liveness import STREAM, Liveness, Passages, label
from .optimizer import Recipe
from .recomputation import FULL, NONE, recomputation
from .saved_tensors import FP32_BYTES, WIDTH, ActivationPolicy, Counts, SavedTensor
from .timeline import Loss, Moment, Segment, StepBytes, Timeline
from .zero import SegmentKey, SegmentStates, gathered_weights

WEIGHTS = "weights"  # what host memory holds, with gradients and optimizer
IN_FP32 = ("shifted", "chunked", "parallel")
CHUNK = 256  # tokens of a chunk of TRL's loss
MOST_TRACES = 64  # of blocks
Segments = dict[SegmentKey, list[Segment]]
MOST_REMEMBERED = 4  # states and segments of meshes and workloads, which a search asks for in turn


@record
class TrainingMemory:
    """Memory of a training step on one rank, in bytes. ``optimizer`` includes master weights.

    ``host`` is what a rank keeps in host memory. The other attributes count memory of the GPU only.
    """

    architecture: Architecture
    workload: Workload
    policy: ActivationPolicy
    recipe: Recipe
    mesh: Mesh
    schedule: Timeline
    weights: int
    gradients: int
    optimizer: int
    activations: int
    host: int = 0

    state = 0  # no KV cache

    @cached_property
    def peaks(self) -> list[Moment]:
        """Moment with the largest total memory, or all that may be the largest with symbolic sizes."""
        return self.schedule.peaks()

    @property
    def largest(self) -> Moment:
        """Moment with the largest total memory."""
        return self.peaks[0]

    @cached_property
    def timeline(self) -> tuple[Moment, ...]:
        """Moments at which the peak may occur, in chronological order."""
        return tuple(self.schedule.moments())

    @property
    def peak(self) -> int:
        """Peak memory of the step in bytes."""
        return largest(*(moment.total for moment in self.peaks))

    def fits(self, room: int) -> bool:
        """Return whether every moment has room in a number of bytes. The first one that has not ends the check."""
        return all(moment.total <= room for moment in self.schedule.largest_moments())

    @property
    def phase(self) -> str:
        """Phase of the step in which the peak occurs."""
        return self.largest.phase

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        names = ("peak", "phase", "weights", "gradients", "optimizer", "activations", "state", "host")
        return {**{name: getattr(self, name) for name in names}, "at_peak": self.largest._asdict()}


def training_memory(
    architecture: Architecture,
    workload: Workload,
    policy: ActivationPolicy,
    recipe: Recipe,
    mesh: Mesh,
    in_flight: tuple[int, int] = (1, 1),
    largest_tensor: Callable[[Architecture], int] | None = None,
) -> TrainingMemory:
    """Return the training memory on one rank. ``in_flight``, the number of in-flight micro-batches, may be fractional.

    ``largest_tensor`` returns the number of elements of the largest tensor that the optimizer updates at once. By
    default, that is the largest declared tensor.
    """
    states, (weights, gradients, optimizer, resident, host) = states_on_rank(architecture, recipe, mesh)
    if largest_tensor:
        states = states._replace(largest_tensor=largest_tensor(architecture))
    keep, own = partial(remembered, architecture, most=MOST_REMEMBERED), (recipe, mesh.division)
    of_step = workload, policy, mesh.division, mesh.virtual_stages
    by_key, loss = keep("_segments", of_step, lambda: segments_and_loss(architecture, workload, policy, mesh))
    segments = [segment for parts in by_key.values() for segment in parts]
    if mesh.zero >= zero.SHARDS_GRADIENTS:
        of_segments = keep("_segment_states", own, lambda: zero.segment_states(architecture, recipe, mesh))
        segments = _sharded_segments(by_key, of_segments, recipe, mesh)
    updating = 0
    if recipe.in_backward:
        updating = 1 + recipe.n_temporaries
        segments = [each if each.is_outside and states.tied_table else each._replace(gradients=0) for each in segments]
    blocks = Sum(*((segment.label, scaled(segment.saved, segment.count)) for segment in segments))
    others = scaled(blocks, max(in_flight[0] - in_flight[1], 0), in_flight[1]) if in_flight[0] > in_flight[1] else 0
    if recipe.offload_activations:
        on_gpu = Sum(*((each.label, each.saved) for each in segments if each.count))
        host = Sum(*host.parts, ("activations", blocks + others - on_gpu))
        blocks, others = on_gpu, 0
    step = StepBytes(
        weights,
        optimizer,
        gradients,
        product(
            ("n_temporaries", 0 if updating else recipe.n_temporaries),
            ("n_largest", states.largest_tensor),
            (WIDTH, recipe.weight_bytes),
        ),
        product(("n_tables", 2), ("n_params", states.tied_table), (WIDTH, recipe.gradient_bytes)),
        others,
        resident,
        gathered_weights(states.weights, mesh) if mesh.pp > 1 else 0,
        product(("n_largest", states.largest_quantised), (WIDTH, recipe.weight_bytes)),
        updating,
        recipe.offload_activations,
    )
    schedule, saved = Timeline(tuple(segments), loss, step), blocks + others + loss.saved
    return TrainingMemory(
        architecture, workload, policy, recipe, mesh, schedule, weights, gradients, optimizer, saved, host
    )


def states_on_rank(
    architecture: Architecture, recipe: Recipe, mesh: Mesh
) -> tuple[zero.ModelStates, tuple[int, int, int, int, Sum]]:
    """Return the states of the model, and the bytes of weights, gradients, optimizer, resident gradients and host."""
    compute = partial(zero.model_states, architecture, recipe, mesh)
    states = remembered(architecture, "_model_states", (recipe, mesh.division), compute, MOST_REMEMBERED)
    weights = states.weights.on_rank(mesh, zero.SHARDS_WEIGHTS)
    gradients = states.gradients.on_rank(mesh, zero.SHARDS_GRADIENTS)
    resident = zero.resident_gradients(states.gradients, recipe, mesh)
    if recipe.gradient_placeholders:
        placeholders = zero.placeholder_gradients(architecture, recipe, mesh)
        gradients, resident = (Sum(("gradients", own), ("placeholders", placeholders)) for own in (gradients, resident))
    optimizer = states.optimizer.on_rank(mesh, zero.SHARDS_OPTIMIZER)
    host, none = Sum(), Sum()
    if recipe.offload:
        host, optimizer = Sum(("optimizer", optimizer)), none
    if recipe.offload == WEIGHTS:  # gradients follow their weights when they are reduced
        host = Sum(*host.parts, ("weights", weights), ("gradients", gradients))
        weights = gradients = resident = none
    if recipe.in_backward:  # a gradient is used as soon as it is computed
        gradients = resident = none
    return states, (weights, gradients, optimizer, resident, host)


def saved_tensors(
    architecture: Architecture, workload: Workload, policy: ActivationPolicy, mesh: Mesh
) -> Iterator[tuple[str, int]]:
    """Yield (name, bytes) for every tensor that is stored at the end of a forward pass, followed by the loss."""
    segments, loss = segments_and_loss(architecture, workload, policy, mesh)
    for segment in (each for parts in segments.values() for each in parts):
        for _ in range(segment.count):
            yield from ((f"{segment.label}.{tensor.name}", tensor.bytes) for tensor in segment.tensors.values())
    if loss.saved:
        yield "loss", loss.saved


def _sharded_segments(
    segments: Segments, states: dict[SegmentKey, SegmentStates], recipe: Recipe, mesh: Mesh
) -> list[Segment]:
    """Return the segments, adding full gradient sizes (ZeRO-2 and ZeRO-3) and full weight sizes (ZeRO-3)."""
    found = []
    for key, segment in ((key, each) for key, parts in segments.items() for each in parts):
        own = states.get(key, SegmentStates())
        full = 0 if recipe.contiguous_gradient_buffer or mesh.pp > 1 else own.gradients.gathered(mesh)
        if full and not segment.is_outside:
            shard = own.new_gradients.sharded(mesh)
            if recipe.offload == WEIGHTS:
                shard = Sum()
            segment = segment._replace(gradients=scaled(shard, 1, max(segment.count, 1) if segment.shared else 1))
        gathered = gathered_weights(own.weights, mesh) if mesh.pp == 1 else 0
        found.append(segment._replace(gathered_weights=gathered, full_gradients=full))
    return found


def segments_and_loss(
    architecture: Architecture, workload: Workload, policy: ActivationPolicy, mesh: Mesh
) -> tuple[Segments, Loss]:
    """Return the segments of the trained stacks in forward order, and the memory used by the loss.

    A run of equal blocks has several segments if only some of them are recomputed.
    """
    values, again = workload.values(architecture), recomputation(policy.recompute)
    own = policy if policy.recompute == NONE else changed(policy, recompute=NONE)  # which traces the same equations
    found: Segments = {}
    loss = Loss(0, 0)
    end: SegmentKey | None = None  # the last segment of the previous text stack
    for stack, names in executed_stacks(architecture, Conventions("prefill", "dense", policy.convention)):
        if stack.frozen:  # no gradient flows, so nothing is saved
            continue

        streams = {"hs": n_residual_streams(stack), "d": stack.d_model}
        new = partial(_trace, own, names, values, mesh, streams, Counts(), Passages())
        key = stack.name, workload, own, mesh.division
        traces = {first: _block_trace(architecture, stack.runs[first].block, key, new) for first in stack.distinct_runs}
        sizes: dict[tuple[int, bool], tuple[Sum, Sum, Stored]] = {}  # by identity of the trace
        inputs = _segment_outside(stack, "inputs", new(), traces.values())
        found[stack.name, "inputs"] = [inputs]
        flags = again.layers(stack.n_layers, mesh.virtual_stages)
        for number, run in enumerate(stack.runs):
            trace, parts, shared = traces[stack.first_runs[number]], list[Segment](), max(run.count, 1)
            if number == 0:
                found[stack.name, "inputs"] = [_without_duplicate_block_input(inputs, trace)]
            own_flags, flags = flags[: run.count], flags[run.count :]
            groups = [(flag, len(list(group))) for flag, group in groupby(own_flags)]
            for flag, count in groups if len(groups) > 1 else [(any(own_flags), run.count)]:
                if (of_block := (id(trace), flag)) not in sizes:
                    stored = stored_tensors(trace, again if flag else None)
                    sizes[of_block] = _saved(stored[0]), _weight_gradients(trace), stored
                saved, new_gradients, (tensors, held) = sizes[of_block]
                gradients = scaled(new_gradients, 1, shared if run.shared else 1)
                parts.append(Segment(run.block.name, count, saved, held, trace, tensors, gradients, shared=run.shared))
            found[stack.name, number] = parts
        outputs = _segment_outside(stack, "outputs", new())
        found[stack.name, "outputs"] = [outputs]
        if end and not stack.inputs and stack.runs and FULL not in again.words:
            found[end][-1] = _without_duplicate_stack_output(found[end][-1], traces[0])
        if not stack.patch:
            end = stack.name, "outputs" if stack.outputs else len(stack.runs) - 1
        own_loss = _loss(stack, outputs.trace, policy)
        if own_loss and stack.role == PREDICTION:  # the losses of all modules are computed before the backward pass
            own_loss = own_loss._replace(saved=Sum(("loss", loss.saved), (stack.name, own_loss.saved)))
        loss = own_loss or loss
    return found, loss


def _trace(
    policy: ActivationPolicy,
    names: Mapping[str, Form],
    values: Mapping[str, int],
    mesh: Mesh,
    streams: Mapping[str, int],
    counts: Counts,
    passages: Passages,
) -> Liveness:
    """Return the trace of no layer yet. The layers of a stack share sizes, and what equal layers record."""
    trace = Liveness(policy, names, values, mesh)
    trace.counts, trace.passages = counts, passages
    trace.stream_bytes = trace.size(("b", "q", *streams), streams, policy.stream_bytes or policy.bytes)
    return trace


def _block_trace(
    architecture: Architecture, block: Block, key: tuple[object, ...], new: Callable[[], Liveness]
) -> Liveness:
    """Return the trace of a block, which all stages of a pipeline share, and steps with and without recomputation."""

    def compute() -> Liveness:
        trace = new()
        trace.block(block, STREAM)
        return trace

    return remembered(model_of(architecture)[0], "_block_traces", (id(block), *key), compute, MOST_TRACES)


def n_residual_streams(stack: Stack) -> int:
    """Return the number of parallel residual streams between the blocks of a stack."""
    layers = (part.pre or part.branches[0].layer for run in stack.runs for part in run.block.sublayers)
    return max((int(declare(layer).axes.get("hs", 1)) for layer in layers), default=1)


def _without_duplicate_block_input(inputs: Segment, block: Liveness) -> Segment:
    """Return the segment before the blocks, excluding its output if the first block saves the same tensor."""
    for name in inputs.trace.outputs & inputs.tensors.keys() if STREAM in block.saved else ():
        if inputs.tensors[name].bytes == block.saved[STREAM].bytes:  # not if there are several residual streams
            inputs = _without(inputs, name)
    return inputs


def _without_duplicate_stack_output(last: Segment, block: Liveness) -> Segment:
    """Return a stack's last segment, excluding its output if the next stack's first block saves the same tensor."""
    streams = [name for name in last.tensors if name.startswith("stream")]
    return _without(last, streams[-1]) if streams and STREAM in block.saved and last.count == 1 else last


def _without(segment: Segment, name: str) -> Segment:
    tensors = {own: tensor for own, tensor in segment.tensors.items() if own != name}
    held = tuple(each for each, own in zip(segment.held, segment.tensors, strict=False) if own != name)
    return segment._replace(saved=_saved(tensors), held=held, tensors=tensors)


def _saved(tensors: Mapping[str, SavedTensor]) -> Sum:
    """Return the bytes of the saved tensors of a segment."""
    return Sum(*[(label(tensor.name), tensor.bytes) for tensor in tensors.values()])


def _weight_gradients(trace: Liveness) -> Sum:
    """Return the bytes of the weight gradients of a segment."""
    return Sum(*[(step.label, step.weight_bytes) for step in trace.steps])


def _segment_outside(stack: Stack, section: str, trace: Liveness, blocks: Iterable[Liveness] = ()) -> Segment:
    """Return the segment that contains a stack's input or output layers. The inputs save what all blocks read."""
    stream = STREAM
    for _, layer in getattr(stack, section):
        stream = trace.layer(layer, stream)
    trace.mark_output(stream, stream=section == "inputs")
    trace.save_shared(blocks)
    tensors, held = stored_tensors(trace)
    return Segment(section, 1, _saved(tensors), held, trace, tensors, _weight_gradients(trace), is_outside=True)


def _loss(stack: Stack, trace: Liveness, policy: ActivationPolicy) -> Loss | None:
    """Return the memory used by the loss.

    Eager cross-entropy saves the log-probabilities and needs two temporary tensors of the same size. Before 4.49.0,
    transformers copied the fp32 logits to drop the last token while the logits and their fp32 copy existed
    (loss/loss_utils.py). TRL's chunked loss computes the logits of 256 tokens at a time (trainer/sft_trainer.py).
    Megatron-Core's loss keeps one fp32 tensor, with and without fusion (tensor_parallel/cross_entropy.py).
    """
    declarations = (declare(layer) for _, layer in stack.outputs)
    declaration = next((declaration for declaration in declarations if declaration.logits), None)
    if declaration is None:
        return None
    in_fp32 = (policy.convention == "torch" and policy.code.loss) or declaration.logits
    width = FP32_BYTES if in_fp32 == FP32 or policy.loss in IN_FP32 else policy.bytes
    fused = policy.loss == "fused"
    rows = "o" if isinstance(declaration.axes.get("o"), int) else "q"  # some heads have a fixed number of positions
    axes = ("b", rows, *("nc" for axis in declaration.axes if axis == "nc"), "V")
    size = trace.size(axes, declaration, policy.bytes if fused else width)
    if policy.loss == "chunked":  # the gradient of the hidden states, and logits of a chunk as ``shifted``
        tokens = trace.size(("b", rows), declaration, 1)
        logits = trace.size(axes, declaration, 3 * FP32_BYTES + policy.bytes)
        hidden = trace.size(("b", rows, "d"), declaration, policy.bytes)
        return Loss(hidden, scaled(logits, min(tokens, CHUNK), tokens))
    if policy.loss == "parallel":
        return Loss(Sum(("probabilities", size)), trace.size(axes, declaration, policy.bytes))
    before = trace.size(axes, declaration, policy.bytes) if policy.loss == "shifted" else 0
    head = _head_copy(declaration, trace, policy)
    return Loss(
        Sum(("log-probabilities", size), ("head", head)), 0 if fused else Sum(("", scaled(size, 2)), ("logits", before))
    )


def _head_copy(declaration: Declaration, trace: Liveness, policy: ActivationPolicy) -> int:
    """Return the bytes of the copy of an fp32 head that autocast makes for the product, and autograd saves."""
    if not policy.is_head_cast:
        return 0
    heads = ((each.name, each, elements(each, declaration)) for each in declaration.tensors if "V" in each.axes)
    shares = [(name, trace.mesh.share_of_weight(each, declaration, size)) for name, each, size in heads]
    return Sum(*((name, product(("n_params", share), (WIDTH, policy.bytes))) for name, share in shares))

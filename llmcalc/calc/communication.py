"""Bytes that the ranks of a mesh exchange in a step, as closed forms.

The collectives of tensor, sequence, expert and context parallelism follow from the equations of each layer
(``layer_collectives/``). Pipeline stages send the residual stream and its gradient. Data-parallel ranks reduce the
gradients and, with ZeRO, gather the weights [rajbhandari2019, Section 7]. All figures refer to one rank of the
pipeline stage that sends the most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property

from ..core.amount import summed
from ..core.architecture import Architecture, declare, model_of
from ..core.errors import UnsupportedError
from ..core.form import Form, lift
from ..core.ledger import Row, entries, identity, model_rows
from ..core.record import OF_LAYERS, record, remembered
from ..core.type_names import Any, ClassVar
from ..core.workload import Workload, symbols
from .collectives import (
    ALL_GATHER,
    ALL_REDUCE,
    BACKWARD,
    FORWARD,
    PHASES,
    REDUCE_SCATTER,
    SEND,
    UPDATE,
    Collective,
)
from .layer_collectives import layer_collectives
from .layer_collectives.recorder import FollowedLayer
from .memory.training import n_residual_streams
from .memory.zero import SHARDS_GRADIENTS, SHARDS_OPTIMIZER, SHARDS_WEIGHTS
from .params import component
from .pipeline_stages import layers_of, pipeline_stages
from .sharding import Mesh
from .step_result import StepResult
from .walk import Conventions, Extent, walk

GRADIENTS, WEIGHTS, STREAM = "gradients", "weights", "pipeline"


@record
class Communication(StepResult):
    """Collectives of one step and the bytes that one rank sends, for each pipeline stage.

    All attributes except ``stages`` refer to the stage that sends the most.
    """

    mesh: Mesh
    stages: tuple[tuple[Collective, ...], ...]

    HEADLINE: ClassVar[str] = "{0.sent:,} bytes sent, {0.workload.mode}"

    EVIDENCE: ClassVar[dict[str, str]] = {"sent": "exact", "volume": "exact"}

    @property
    def notes(self) -> tuple[str, ...]:
        """Collectives that are not counted."""
        layers = (part.layer for entry in entries(self.architecture) for _, part in declare(entry.layer).walk())
        found = ((layer.undeclared_collectives(), layer.kind()) for layer in layers if layer and self.mesh.tp > 1)
        return tuple(dict.fromkeys(f"not counted: {text} of {kind}" for text, kind in found if text))

    @cached_property
    def sent_by_stage(self) -> tuple[int, ...]:
        """Number of bytes that a rank of each pipeline stage sends."""
        return tuple(sum(each.sizes(self.values)[1] for each in stage) for stage in self.stages)

    @property
    def worst_stage(self) -> int:
        """Index of the pipeline stage that sends the most."""
        return self.sent_by_stage.index(max(self.sent_by_stage))

    @property
    def collectives(self) -> tuple[Collective, ...]:
        """Collectives of the stage that sends the most."""
        return self.stages[self.worst_stage]

    @cached_property
    def form(self) -> Form:
        """Closed form of the number of bytes sent. Coefficients that are not integers are rounded up."""
        return sum((each.form for each in self.collectives), lift(0))

    @cached_property
    def sizes(self) -> tuple[tuple[Collective, int, int], ...]:
        """All collectives with the bytes of their tensors and the bytes sent. All totals are sums of these sizes."""
        found = ((each, *each.sizes(self.values)) for each in self.collectives)
        return tuple((each, volume, sent) for each, volume, sent in found if sent)

    @cached_property
    def volume(self) -> int:
        """Number of bytes of the tensors of all collectives."""
        return sum(volume for _, volume, _ in self.sizes)

    @cached_property
    def sent(self) -> int:
        """Number of bytes that the rank sends with ring algorithms."""
        return sum(sent for _, _, sent in self.sizes)

    @property
    def by_group(self) -> dict[str, int]:
        """Number of bytes sent by group of ranks, such as ``tp``."""
        return self._by("group")

    @property
    def by_kind(self) -> dict[str, int]:
        """Number of bytes sent by collective, such as ``all-reduce``."""
        return self._by("kind")

    @property
    def by_component(self) -> dict[str, int]:
        """Number of bytes sent by component, such as ``attention``."""
        return self._by("component")

    @property
    def by_phase(self) -> dict[str, int]:
        """Number of bytes sent in the forward pass, in the backward pass and once per training step."""
        found = self._by("phase")
        return {phase: found[phase] for phase in PHASES if phase in found}

    def _by(self, name: str) -> dict[str, int]:
        return summed((getattr(each, name), sent) for each, _, sent in self.sizes)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        return {
            **self.attributes("sent", "volume", "by_group", "by_kind", "by_phase", "by_component", "worst_stage"),
            "sent_by_stage": list(self.sent_by_stage),
            "closed_form": str(self.form),
            "evidence": self.evidence,
            "notes": [*self.notes, *self.architecture.notes],
            "collectives": [
                {
                    "layer": ".".join((*each.place.entry.path, *each.place.part)) if each.place else "",
                    **{name: getattr(each, name) for name in ("kind", "group", "ranks", "tensor", "phase")},
                    "times": each.times, "bytes": volume, "sent": sent,
                }
                for each, volume, sent in self.sizes
            ],
        }  # fmt: skip


def communication(
    architecture: Architecture, workload: Workload, mesh: Mesh, bits: int, gradient_bits: int, uneven: bool = False
) -> Communication:
    """Count the bytes that the ranks of a mesh exchange in a step.

    Args:
        architecture: the model.
        workload: the step, with the batch of one data-parallel rank (in training: of one micro-batch).
        mesh: number of ranks of each kind of parallelism.
        bits: bits per element of activations and weights.
        gradient_bits: bits per element of the gradients of weights.
        uneven: whether pipeline stages of a training step may have different numbers of layers.
    """
    found = stage_collectives(architecture, workload, mesh, bits, gradient_bits, uneven)
    return Communication(architecture, workload, mesh, tuple(collectives for _, collectives in found))


def stage_collectives(
    architecture: Architecture, workload: Workload, mesh: Mesh, bits: int, gradient_bits: int, uneven: bool = False
) -> list[tuple[Architecture, tuple[Collective, ...]]]:
    """Return each pipeline stage with its collectives. Equal stages share both. ``communication`` has the arguments."""
    if mesh.tp % mesh.expert_tp:
        hint = "an expert on ranks with different tokens is not modelled"
        raise UnsupportedError(f"etp ({mesh.expert_tp}) does not divide tp ({mesh.tp})", parameter="etp", hint=hint)
    training = workload.mode == "train"
    conventions = Conventions(workload.phase, "dense", None, workload.logits)
    parts = pipeline_stages(architecture, mesh.pp, uneven=uneven or not training)
    of_layers = bits, gradient_bits, training
    known = remembered(
        model_of(architecture)[0], f"{OF_LAYERS}_exchanged", of_layers, dict[tuple[object, ...], FollowedLayer]
    )
    keys = [(layers_of(part), stage == 0, stage == mesh.pp - 1) for stage, part in enumerate(parts)]
    distinct, numbers, stored = dict(zip(reversed(keys), reversed(parts), strict=True)), Counter(keys), Counter[str]()
    for key, part in distinct.items() if mesh.pp > 1 else ():
        names = {identity(row.entry.stack, row.tensor) for row in model_rows(part)}
        stored.update(dict.fromkeys(names, numbers[key]))
    found = dict[object, tuple[Architecture, tuple[Collective, ...]]]()
    for key in dict.fromkeys(keys):
        part, (_, is_first, is_last) = distinct[key], key
        own = layer_collectives(walk(part, conventions), mesh, bits, gradient_bits, training, known)
        own += _sent_streams(part, is_first, is_last, mesh, bits, training)
        if training:
            own += replica_collectives(part, mesh, bits, gradient_bits)
            own += _tied_weights(stored, part, mesh, gradient_bits)
        found[key] = part, tuple(own)
    return [found[key] for key in keys]


def _outside(
    name: str,
    kind: str,
    group: tuple[str, int],
    tensor: str,
    phase: str,
    factors: tuple[tuple[str, Extent], ...],
    bits: int,
    times: int = 1,
    shards: int = 1,
) -> Collective:
    return Collective(None, name, kind, *group, tensor, phase, factors, shards, times, bits)


def _sent_streams(
    part: Architecture, is_first: bool, is_last: bool, mesh: Mesh, bits: int, training: bool
) -> Iterator[Collective]:
    """Yield the stream that a pipeline stage sends to the next one, and the gradient that it sends to the previous.

    A step of serving is not divided into micro-batches.
    """
    if mesh.pp == 1:
        return
    stack = part.stacks[0]
    names = symbols(stack, single_stack=True)
    n_streams = n_residual_streams(stack)
    streams: tuple[tuple[str, Extent], ...] = (("hs", n_streams),) if n_streams > 1 else ()
    factors = (("b", names["b"]), ("q", names["q"]), *streams, ("d", stack.d_model))
    shards = mesh.cp * (mesh.tp if mesh.sp else 1)
    n_batches = mesh.batches if training else 1
    sends = (("x", FORWARD, is_last), ("dx", BACKWARD, is_first))
    for tensor, phase, is_end in sends if training else sends[:1]:
        if chunks := mesh.virtual_stages - is_end:
            yield _outside(STREAM, SEND, ("pp", 2), tensor, phase, factors, bits, chunks * n_batches, shards)


def replica_collectives(part: Architecture, mesh: Mesh, bits: int, gradient_bits: int) -> Iterator[Collective]:
    """Yield the collectives of gradients and weights over data-parallel ranks, by component.

    The lifetime of gathered weights is that of the memory model: blocks are gathered for the forward and the backward
    pass each time they run, and other layers once. A pipeline stage gathers all weights once per step and reduces
    gradients at the end.
    """
    times = mesh.batches if mesh.pp == 1 else 1
    gradients = REDUCE_SCATTER if mesh.zero >= SHARDS_OPTIMIZER else ALL_REDUCE
    reductions = times if mesh.zero >= SHARDS_GRADIENTS else 1  # otherwise, gradients are first accumulated
    for (name, is_expert, in_block), (count, used) in trained_weights(part, mesh).items():
        group, factors = ("dp", mesh.expert_replicas if is_expert else mesh.replicas), (("n_params", count),)
        if group[1] == 1 or not count:
            continue
        yield _outside(name, gradients, group, GRADIENTS, UPDATE, factors, gradient_bits, reductions)
        if mesh.zero >= SHARDS_WEIGHTS:
            whole = (("n_params", used if mesh.pp == 1 else count),)
            yield _outside(name, ALL_GATHER, group, WEIGHTS, FORWARD, whole, bits, times)
            if in_block and mesh.pp == 1:
                yield _outside(name, ALL_GATHER, group, WEIGHTS, BACKWARD, whole, bits, times)
        elif mesh.zero >= SHARDS_OPTIMIZER:
            yield _outside(name, ALL_GATHER, group, WEIGHTS, UPDATE, factors, bits)


def trained_weights(part: Architecture, mesh: Mesh) -> dict[tuple[str, bool, bool], tuple[int, int]]:
    """Return the numbers of elements that a rank of a pipeline stage trains, and that it uses in a step.

    The keys are the component, whether the tensors belong to routed experts, and whether they are in blocks.
    """

    def compute() -> dict[tuple[str, bool, bool], tuple[int, int]]:
        found = dict[tuple[str, bool, bool], tuple[int, int]]()
        for row in model_rows(part):
            own = mesh.share_of_weight(row.tensor, row.declaration, row.size)
            if not (row.tensor.buffer or row.entry.stack.frozen):
                key = component(row), row.tensor.active is not None, row.entry.run is not None
                stored, used = found.get(key, (0, 0))
                found[key] = stored + own * row.copies, used + own * _uses(row)
        return found

    return remembered(part, "_trained_weights", mesh.division, compute)


def _uses(row: Row) -> int:
    """Return how often a tensor is used in a step. A tensor that several layers share belongs to the first of them,
    whereas a layer that runs several times has all of its tensors each time.
    """
    return row.copies if row.tensor.share and not row.entry.share else row.entry.applied


def _tied_weights(
    stored: Mapping[str, int], part: Architecture, mesh: Mesh, gradient_bits: int
) -> Iterator[Collective]:
    """Yield the reduction of the gradients of tensors that several pipeline stages store, given their numbers."""
    seen = {""}
    for row in model_rows(part) if mesh.pp > 1 else ():
        name = identity(row.entry.stack, row.tensor)
        ranks = stored[name]
        if name not in seen and ranks > 1 and not (row.tensor.buffer or row.tensor.unused):
            group, factors = ("pp", ranks), (("n_params", mesh.share_of_weight(row.tensor, row.declaration, row.size)),)
            yield _outside(component(row), ALL_REDUCE, group, f"tied {GRADIENTS}", UPDATE, factors, gradient_bits)
        seen.add(name)

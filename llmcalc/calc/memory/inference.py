"""Inference memory: weights in their number formats, the cache or state, and the transient buffers of one step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from ...core.architecture import Architecture
from ...core.notebook_display import NotebookDisplay
from ...core.record import record
from ...core.workload import Workload, symbols
from ..kv_cache import StateSize
from ..sharding import Mesh
from .liveness import Trace
from .number_formats import BITS_A_BYTE
from .recompute import Policy
from .weight_formats import Stored, WeightFormats


@record
class InferenceMemory(NotebookDisplay):
    """Memory of serving on one rank, in bytes: ``peak`` is weights, state and transient buffers of the prefill.
    ``published``: the weights are stored as a checkpoint says; ``unread``: keys of its config that nobody read.
    """

    architecture: Architecture
    workload: Workload
    stored: tuple[Stored, ...]
    state_size: StateSize
    transient: int
    mesh: Mesh
    prefill: int | None = None
    published: bool = False
    unread: tuple[str, ...] = ()

    gradients = 0
    optimizer = 0

    @cached_property
    def weights(self) -> int:
        """Bytes of all weights."""
        return -(-sum(entry.bits for entry in self.stored) // BITS_A_BYTE)

    @cached_property
    def weights_by_component(self) -> dict[str, int]:
        """Bytes of the weights of each component, each rounded up."""
        bits: dict[str, int] = {}
        for entry in self.stored:
            bits[entry.component] = bits.get(entry.component, 0) + entry.bits
        return {name: -(-size // BITS_A_BYTE) for name, size in bits.items()}

    @property
    def state(self) -> int:
        """Bytes of keys, values, latents and recurrent states."""
        return self.state_size.bytes

    @property
    def activations(self) -> int:
        """Transient buffers: the largest set of tensors alive at once, logits included."""
        return self.transient

    @cached_property
    def peak(self) -> int:
        """All of it."""
        return self.weights + self.state + self.transient

    @property
    def phase(self) -> str:
        """The moment of the peak."""
        return "inference step"

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        return {
            "peak": self.peak,
            "weights": self.weights,
            "state": self.state,
            "activations": self.activations,
            "phase": self.phase,
            "weights_by_component": self.weights_by_component,
            "state_by_role": self.state_size.by_role,
            "ranks": self.mesh.ranks,
        }


def inference_memory(
    architecture: Architecture,
    workload: Workload,
    weights: WeightFormats,
    state_size: StateSize,
    width: int,
    mesh: Mesh | None = None,
    prefill: int | None = None,
    convention: str | None = None,
) -> InferenceMemory:
    """The memory of a prefill of ``workload.seq`` tokens whose cache is kept, on one rank of a mesh.

    ``prefill`` is how many tokens of a sequence are computed at once (None: all). Beams come after the prefill, but in
    transformers (``convention="torch"``) before it.
    """
    ranks, policy = mesh or Mesh(), Policy("flash", bytes=width)
    found = tuple(weights.stored(architecture, ranks))
    steps = list(_steps(workload.values(architecture), prefill, state_size.beams, convention))
    transient = max(_transient(architecture, workload.logits, policy, ranks, values) for values in steps)
    return InferenceMemory(
        architecture, workload, found, state_size, transient, ranks, prefill, weights.published, weights.unread
    )


def _steps(values: dict[str, int], prefill: int | None, beams: int, convention: str | None) -> Iterator[dict[str, int]]:
    """The workloads that can need most: the prefill, and a step of all beams."""
    several = {**values, "b": values["b"] * beams}
    first = several if convention == "torch" else values
    most = prefill or max(values["q"], values["n"])
    yield {**first, "q": min(values["q"], most), "n": min(values["n"], most)}
    if beams > 1:
        yield {**several, "q": 1, "n": 0}


def _transient(architecture: Architecture, logits: str, policy: Policy, mesh: Mesh, values: dict[str, int]) -> int:
    """The largest set of tensors alive at once, of a block or of the head, with fused attention."""
    single_stack, largest = not architecture.is_encoder_decoder, 0
    for stack in architecture.stacks:
        if stack.unused:
            continue
        names = symbols(stack, single_stack, logits, policy.convention)
        for run in stack.runs:
            trace = Trace(policy, names, values, mesh)
            trace.block(run.block, "stream#in")
            stream = trace.size(("b", "q", "d"), {"d": stack.d_model}, policy.bytes)
            largest = max(largest, stream + alive(trace))
        trace = Trace(policy, names, values, mesh)
        stream_name = "stream#in"
        for _, layer in stack.outputs:
            stream_name = trace.layer(layer, stream_name)
        largest = max(largest, alive(trace))
    return largest


def alive(trace: Trace) -> int:
    """The largest number of bytes alive at once while the steps run, each tensor freed after its last use."""
    last = {name: number for number, step in enumerate(trace.steps) for name, _ in step.operands}
    live: dict[str, int] = {}
    largest = 0
    for number, step in enumerate(trace.steps):
        for name, size in step.operands:
            live.setdefault(name, size)
        live[step.out] = step.out_bytes
        largest = max(largest, sum(live.values()))
        for name in [name for name in live if last.get(name, -1) <= number and name != step.out]:
            del live[name]
    return largest

"""Inference memory for weights, the KV cache or recurrent state, and transient buffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from ...core.amount import Sum
from ...core.architecture import Architecture
from ...core.notebook_display import NotebookDisplay
from ...core.record import record
from ...core.workload import Workload
from ..kv_cache import StateSize
from ..sharding import Mesh
from ..walk import Conventions, executed_stacks
from .liveness import STREAM, Liveness, peak_live_bytes
from .number_formats import BITS_A_BYTE
from .saved_tensors import ActivationPolicy
from .weight_formats import StoredTensors, WeightFormats


@record
class InferenceMemory(NotebookDisplay):
    """Inference memory on one rank, in bytes. ``unread`` lists quantisation config keys that were not interpreted."""

    architecture: Architecture
    workload: Workload
    stored: tuple[StoredTensors, ...]
    state_size: StateSize
    transient: int
    mesh: Mesh
    prefill: int | None = None
    published: bool = False
    unread: tuple[str, ...] = ()

    gradients, optimizer, phase = 0, 0, "inference step"

    @property
    def summary(self) -> str:
        """One-line summary of the peak and the workload."""
        size = self.workload
        return f"{self.architecture.name}: {self.peak:,} bytes at the peak, batch {size.batch}, seq {size.seq}"

    @cached_property
    def weights(self) -> int:
        """Total size of the weights in bytes."""
        return -(-sum(entry.bits for entry in self.stored) // BITS_A_BYTE)

    @cached_property
    def weights_by_component(self) -> dict[str, int]:
        """Weight size of each component in bytes, rounded up."""
        bits = Counter[str]()
        for entry in self.stored:
            bits[entry.component] += entry.bits
        return {name: -(-size // BITS_A_BYTE) for name, size in bits.items()}

    @property
    def state(self) -> int:
        """Size of the KV cache and recurrent states in bytes."""
        return self.state_size.bytes

    @property
    def activations(self) -> int:
        """Peak size of live activations in bytes, including logits."""
        return self.transient

    @cached_property
    def peak(self) -> int:
        """Total size of weights, state and peak activations in bytes."""
        return self.weights + self.state + self.transient

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        names = ("peak", "weights", "state", "activations", "phase", "weights_by_component")
        own = {name: getattr(self, name) for name in names}
        return {**own, "state_by_role": self.state_size.by_role, "ranks": self.mesh.ranks}


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
    """Return the memory on one rank for a prefill of ``workload.seq`` tokens and the resulting cache.

    ``prefill`` is the number of tokens per sequence in each prefill chunk (None: all tokens). Beams are expanded
    after the prefill, or before the prefill if ``convention`` is ``torch``.
    """
    mesh, policy = mesh or Mesh(), ActivationPolicy("flash", bytes=width)
    stored = tuple(weights.stored(architecture, mesh))
    steps = _largest_steps(workload.values(architecture), prefill, state_size.beams, convention)
    transient = max(_transient_bytes(architecture, workload.logits, policy, mesh, values) for values in steps)
    return InferenceMemory(
        architecture, workload, stored, state_size, transient, mesh, prefill, weights.published, weights.unread
    )


def _largest_steps(
    values: dict[str, int], prefill: int | None, beams: int, convention: str | None
) -> Iterator[dict[str, int]]:
    """Yield the values of the workload symbols for prefill and, with beam search, for a decode step over all beams."""
    all_beams = {**values, "b": values["b"] * beams}
    most = prefill or max(values["q"], values["n"])
    yield {**(all_beams if convention == "torch" else values), "q": min(values["q"], most), "n": min(values["n"], most)}
    if beams > 1:
        yield {**all_beams, "q": 1, "n": 0}


def _transient_bytes(
    architecture: Architecture, logits: str, policy: ActivationPolicy, mesh: Mesh, values: dict[str, int]
) -> int:
    """Return the peak size of live activations in any block or head, in bytes."""
    largest = Sum()
    for stack, names in executed_stacks(architecture, Conventions("prefill", "dense", policy.convention, logits)):
        for run in stack.runs:
            trace = Liveness(policy, names, values, mesh)
            trace.block(run.block, STREAM)
            stream = trace.size(("b", "q", "d"), {"d": stack.d_model}, policy.bytes)
            live = Sum(("residual stream", stream), *peak_live_bytes(trace).parts)
            largest = max(largest, Sum((f"{stack.name}.{run.block.name}", live)))
        trace, name = Liveness(policy, names, values, mesh), STREAM
        for _, layer in stack.outputs:
            name = trace.layer(layer, name)
        largest = max(largest, Sum((f"{stack.name}.outputs", peak_live_bytes(trace))))
    return largest

"""Inference memory for weights, the KV cache or recurrent state, and transient buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, cached_property, partial

from ...core.amount import Sum, largest, named, smallest, summed
from ...core.architecture import Architecture, Block, Stack, model_of
from ...core.record import NamedTuple, changed, record, remembered
from ...core.type_names import TYPE_CHECKING, Any, ClassVar
from ...core.workload import Workload
from ..kv_cache import StateSize
from ..sharding import Mesh
from ..step_result import StepResult
from ..walk import Conventions, division, executed_stacks
from .liveness import STREAM, Liveness, Passages, peak_live_bytes
from .number_formats import BITS_A_BYTE
from .saved_tensors import ActivationPolicy, Counts
from .weight_formats import TABLES, ServedWeights, StoredTensors, model_tensors

if TYPE_CHECKING:
    from ..images.rule import ImageSize


@record
class Steps:
    """Division of a serving workload into steps.

    A step computes at most ``limit`` tokens over all sequences. A longer prompt is computed in several steps, in which
    a sequence has at most ``prefill`` new tokens. An encoder reads each of its sequences in one step.

    Attributes:
        limit: maximum number of tokens in a step (None: all tokens of all sequences).
        prefill: maximum number of new tokens of a sequence in a step (None: no maximum).
        beams: number of beams, which are expanded after the prefill, or before it if ``convention`` is ``torch``.
        convention: None, or ``torch`` for transformers' eager code.
    """

    limit: int | None = None
    prefill: int | None = None
    beams: int = 1
    convention: str | None = None

    def largest(self, values: dict[str, int], has_encoder: bool) -> Iterator[dict[str, int]]:
        """Yield the values of the workload symbols in the largest prefill and, with beams, in a decode step."""
        all_beams = {**values, "b": values["b"] * self.beams}
        first = all_beams if self.convention == "torch" else values
        longest = largest(values["q"], values["n"])
        most = smallest(longest, self.prefill or longest)
        if self.limit is None:
            n_sequences = first["b"]
        elif has_encoder:
            n_sequences = smallest(first["b"], largest(1, self.limit // most))
        else:
            n_sequences = smallest(first["b"], -(-self.limit // smallest(most, self.limit)))
            most = smallest(most, -(-self.limit // n_sequences))
        n_sequences, tokens = named(n_sequences, "sequences"), named(smallest(values["q"], most), "tokens")
        yield {**first, "b": n_sequences, "q": tokens, "n": smallest(values["n"], most)}
        if self.beams > 1:
            yield {**all_beams, "b": smallest(all_beams["b"], self.limit or all_beams["b"]), "q": 1, "n": 0}

    def decode(self, values: dict[str, int]) -> dict[str, int]:
        """Return the values of the workload symbols in a decode step over as many sequences as possible."""
        return {**values, "b": named(smallest(values["b"], self.limit or values["b"]), "decoding"), "q": 1, "n": 0}


@record
class InferenceMemory(StepResult):
    """Inference memory on the rank that needs the most memory, in bytes.

    Attributes:
        workload: workload of all ranks.
        stored: weights of the rank.
        state_size: state of the sequences on the rank.
        find_transient: function that returns ``transient`` for a sequence length. It takes longer than the other sizes.
        unread: quantisation config keys that were not interpreted.
        refusals: matrices that kernels do not accept on this mesh.
        host: bytes of the weights that stay in host memory.
        host_state: bytes of the state that is in host memory, beside ``state_size``.
        images: images of a sequence, whose tokens are a part of ``seq``.
    """

    stored: tuple[StoredTensors, ...]
    state_size: StateSize
    find_transient: Callable[[int], int]
    mesh: Mesh
    steps: Steps
    published: bool = False
    unread: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    host: int = 0
    host_state: int = 0
    images: tuple[ImageSize, ...] = ()

    HEADLINE: ClassVar[str] = "{0.peak:,} bytes at the peak"
    EVIDENCE: ClassVar[dict[str, str]] = {
        "peak": "assumed", "weights": "exact", "state": "executed", "activations": "assumed",
    }  # fmt: skip

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each value. Weights in a format that was not verified in its source are assumed."""
        is_known = all(entry.format.checked for entry in self.stored)
        return super().evidence if is_known else {**super().evidence, "weights": "assumed"}

    @property
    def prefill(self) -> int | None:
        """Maximum number of new tokens of a sequence in a prefill step, if given."""
        return self.steps.prefill

    gradients, optimizer, phase = 0, 0, "inference step"

    @cached_property
    def weights(self) -> int:
        """Total size of the weights in bytes."""
        return -(-sum(entry.bits for entry in self.stored) // BITS_A_BYTE)

    @cached_property
    def weights_by_component(self) -> dict[str, int]:
        """Weight size of each component in bytes, rounded up."""
        bits = summed((entry.component, entry.bits) for entry in self.stored)
        return {name: -(-size // BITS_A_BYTE) for name, size in bits.items()}

    @property
    def state(self) -> int:
        """Size of the KV cache and recurrent states in bytes."""
        return self.state_size.bytes

    @cached_property
    def transient(self) -> int:
        """Peak size of live activations in bytes, with its parts."""
        return self.find_transient(self.workload.seq)

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
        own = self.attributes("peak", "weights", "state", "activations", "phase", "weights_by_component")
        more = {"ranks": self.mesh.ranks, "host": self.host, "refusals": list(self.refusals), "evidence": self.evidence}
        more |= {"images": [size.to_dict() for size in self.images]} if self.images else {}
        return {**own, "state_by_role": self.state_size.by_role, **more}


def inference_memory(
    architecture: Architecture,
    workload: Workload,
    weights: ServedWeights,
    state_size: StateSize,
    width: int,
    mesh: Mesh | None = None,
    steps: Steps | None = None,
) -> InferenceMemory:
    """Return the memory on one rank for the prefill of the sequences in ``workload`` and the resulting cache."""
    mesh, steps, policy = mesh or Mesh(), steps or Steps(), ActivationPolicy("flash", bytes=width, serving=True)
    stored = tuple(weights.stored(architecture, mesh))
    refusals = dict.fromkeys(weights.refusals(architecture, mesh) if mesh.tp > 1 else ())
    find_transient = cache(partial(_transient_bytes, architecture, workload, policy, mesh, steps))
    return InferenceMemory(
        architecture, workload, stored, state_size, find_transient, mesh, steps, weights.published, weights.unread,
        tuple(refusals), _host_bytes(architecture, weights, stored),
    )  # fmt: skip


def _host_bytes(architecture: Architecture, weights: ServedWeights, stored: tuple[StoredTensors, ...]) -> int:
    """Return the size of an input table that stays in host memory. The output needs a tied table on the GPU."""
    if not weights.has_host_table or model_tensors(architecture).tied:
        return 0
    return sum(entry.bits for entry in stored if entry.component == TABLES[0]) // BITS_A_BYTE


def _transient_bytes(
    architecture: Architecture, workload: Workload, policy: ActivationPolicy, mesh: Mesh, steps: Steps, seq: int
) -> Sum:
    """Return the peak size of live activations in any block or head of any step, in bytes.

    The logits of all sequences are computed in one decode step, even if prefill steps have fewer sequences.
    """
    values = changed(workload, seq=seq).values(architecture)
    model, shares = model_of(architecture)[0], division(architecture, mesh)
    has_encoder = any(stack.role == "encoder" for stack in architecture.stacks)
    prefills, decode = list(steps.largest(values, has_encoder)), steps.decode(values)
    peak = Sum()
    for stack, names in executed_stacks(architecture, Conventions("prefill", "dense", None, workload.logits)):
        blocks = [stack.runs[index].block for index in stack.distinct_runs]
        for step in (*prefills, decode):
            key = (stack.name, tuple(step.values()), policy, shares)
            known = remembered(model, "_block_peaks", key, lambda: _KnownPeaks({}, {}, {}))
            for block in blocks if step is not decode else ():
                if id(block) not in known.peaks:
                    trace = Liveness(policy, names, step, mesh)
                    trace.counts, trace.passages = known.counts, known.passages
                    known.peaks[id(block)] = _block_peak(block, stack, trace)
                peak = largest(peak, Sum((f"{stack.name}.{block.name}", known.peaks[id(block)])))
            if id(stack.outputs) not in known.peaks:
                trace, name = Liveness(policy, names, step, mesh), STREAM
                for _, layer in stack.outputs:
                    name = trace.layer(layer, name)
                known.peaks[id(stack.outputs)] = peak_live_bytes(trace)
            peak = largest(peak, Sum((f"{stack.name}.outputs", known.peaks[id(stack.outputs)])))
    return peak


class _KnownPeaks(NamedTuple):
    """Peaks in a step by the identity of the block or of the outputs, and what was found in equal layers of blocks."""

    peaks: dict[int, Sum]
    counts: Counts
    passages: Passages


def _block_peak(block: Block, stack: Stack, trace: Liveness) -> Sum:
    """Return the peak size of live activations in a block, including the residual stream."""
    trace.block(block, STREAM)
    stream = trace.size(("b", "q", "d"), {"d": stack.d_model}, trace.policy.bytes)
    return Sum(("residual stream", stream), *peak_live_bytes(trace).parts)

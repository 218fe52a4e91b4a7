"""Pipeline stage layout, 1F1B schedule, and training memory per stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, ClassVar

from ...core.amount import largest
from ...core.architecture import Architecture, PipelineStage, Run, Stack
from ...core.errors import InputError, SizeError
from ...core.notebook_display import NotebookDisplay
from ...core.record import changed, record, remembered
from ...core.workload import Workload
from ..sharding import Mesh
from .optimizer import Recipe
from .saved_tensors import ActivationPolicy
from .training import TrainingMemory, training_memory


@record
class ParallelMemory(NotebookDisplay):
    """Training memory per pipeline stage. All attributes except ``mesh`` and ``stages`` describe the worst stage."""

    mesh: Mesh
    stages: tuple[TrainingMemory, ...]

    EVIDENCE: ClassVar[dict[str, str]] = {
        "peak": "measured", **dict.fromkeys(("weights", "gradients", "optimizer"), "exact"), "activations": "measured",
    }  # fmt: skip

    @property
    def summary(self) -> str:
        """One-line summary of the peak and the workload."""
        size = self.worst.workload
        return f"{self.worst.architecture.name}: {self.peak:,} bytes at the peak, batch {size.batch}, seq {size.seq}"

    @cached_property
    def worst(self) -> TrainingMemory:
        """Stage with the largest peak."""
        return max(self.stages, key=lambda stage: stage.peak)

    @property
    def peak(self) -> int:
        """Peak memory of the worst stage in bytes."""
        return largest(*(stage.peak for stage in self.stages))

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the worst stage, such as ``peak``, ``phase`` or ``weights``."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.worst, name)

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes of the worst stage and the peak of each stage as a plain dictionary."""
        peaks = [stage.peak for stage in self.stages]
        own = {"worst_stage": self.stages.index(self.worst), "peaks": peaks, "evidence": self.evidence}
        return {**self.worst.to_dict(), **own}


def parallel_memory(
    architecture: Architecture,
    workload: Workload,
    policy: ActivationPolicy,
    recipe: Recipe,
    mesh: Mesh,
    largest_tensor: Callable[[Architecture], int] | None = None,
) -> ParallelMemory:
    """Return the training memory of every pipeline stage. ``training_memory`` describes ``largest_tensor``."""
    return ParallelMemory(mesh, tuple(stage_memories(architecture, workload, policy, recipe, mesh, largest_tensor)))


def stage_memories(
    architecture: Architecture,
    workload: Workload,
    policy: ActivationPolicy,
    recipe: Recipe,
    mesh: Mesh,
    largest_tensor: Callable[[Architecture], int] | None = None,
) -> Iterator[TrainingMemory]:
    """Yield the training memory of each pipeline stage. Equal stages differ only in the micro-batches in flight."""
    equal: dict[object, Architecture] = {}
    for stage, part in enumerate(pipeline_stages(architecture, mesh.pp)):
        own = equal.setdefault(layers_of(part), part)
        in_flight = one_f_one_b_in_flight(mesh, stage) if mesh.pp > 1 else (1, 1)
        found = training_memory(own, workload, policy, recipe, mesh, in_flight, largest_tensor)
        yield found if own is part else changed(found, architecture=part)


def layers_of(part: Architecture) -> object:
    """Return the identities of the layers of a pipeline stage, which equal stages share."""
    return tuple(
        (bool(stack.inputs), bool(stack.outputs), *((id(run.block), run.count, run.shared) for run in stack.runs))
        for stack in part.stacks
    )


def pipeline_stages(architecture: Architecture, stages: int, uneven: bool = False) -> Sequence[Architecture]:
    """Return the part of an architecture that each pipeline stage stores and executes.

    Stages of unequal sizes count the embedding and the head as one layer each, and the remaining layers go to the first
    stages, as in torchtitan (``generate_llm_fqn_per_model_part``) and in Megatron-LM if embedding and loss count
    in the split. With ``uneven``, the remaining layers go to the last stages before that with the head, as in vLLM.
    """
    if stages == 1:
        return [architecture]
    key = stages, uneven
    return remembered(architecture, "_pipeline_stages", key, lambda: [*_stages(architecture, stages, uneven)])


def _stages(architecture: Architecture, stages: int, uneven: bool) -> Iterator[PipelineStage]:
    if len(architecture.stacks) > 1:
        raise InputError("pipeline parallelism is modelled only for architectures with one stack", parameter="pp")
    first, sizes = 0, _stage_sizes(architecture.stacks[0], stages, uneven)
    for stage, size in enumerate(sizes):
        yield layer_range(architecture, first, first + size, is_last=stage == len(sizes) - 1)
        first += size


def layer_range(architecture: Architecture, first: int, end: int, is_last: bool = True) -> PipelineStage:
    """Return the layers of the main stack from ``first`` up to ``end``, with its inputs and outputs at the ends.

    The outputs are left out if ``is_last`` is False, before a stage that has the outputs alone.
    """
    stack = architecture.main
    blocks = [(run, equal) for run, equal in zip(stack.runs, stack.first_runs, strict=True) for _ in range(run.count)]
    inputs, outputs = stack.inputs if first == 0 else (), stack.outputs if end == len(blocks) and is_last else ()
    parts = ([*same] for _, same in groupby(blocks[first:end], key=lambda block: id(block[0].block)))
    # Equal blocks become one object, so that results by block are shared.
    runs = tuple(Run(stack.runs[equal].block, len(part), run.shared) for part in parts for run, equal in part[:1])
    part = Stack(stack.name, stack.d_model, inputs, runs, outputs, stack.role)
    return PipelineStage(architecture.name, (part,), layout=architecture.layout, model=architecture, first_layer=first)


def one_f_one_b_in_flight(mesh: Mesh, stage: int) -> tuple[int, int]:
    """Return the number of in-flight micro-batches at a stage of a 1F1B schedule, as a fraction.

    Each stage runs one warm-up forward pass per later stage and then alternates forward and backward passes.
    Stage i of p therefore holds the activations of p - i micro-batches. For the first stage, interleaving
    multiplies this number by ``1 + (p - 1) / (p · virtual_stages)`` [korthikanti2022, Section 4.2.3].
    """
    held = min(mesh.pp - stage, mesh.batches)
    if mesh.virtual_stages == 1:
        return held, 1
    chunks = mesh.pp * mesh.virtual_stages
    return held * (chunks + (mesh.pp - 1 if stage == 0 else 0)), chunks


def _stage_sizes(stack: Stack, stages: int, uneven: bool) -> list[int]:
    """Return the number of layers of each stage."""
    n_layers = stack.n_layers
    if stages > n_layers:
        raise SizeError(f"pp ({stages}) exceeds the number of layers ({n_layers})", parameter="pp")
    size, rest = divmod(n_layers, stages)
    if uneven or not rest:
        return [size + (stages - 1 - rest <= stage < stages - 1) for stage in range(stages)]
    size, rest = divmod(n_layers + 2, stages)
    return [size + (stage < rest) - (stage in (0, stages - 1)) for stage in range(stages)]

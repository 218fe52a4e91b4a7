"""Training memory of each pipeline stage, and the micro-batches that a 1F1B schedule keeps there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from ...core.amount import largest
from ...core.architecture import Architecture
from ...core.notebook_display import NotebookDisplay
from ...core.record import changed, record
from ...core.type_names import Any, ClassVar
from ...core.workload import Workload
from ..pipeline_stages import layers_of, pipeline_stages
from ..sharding import Mesh
from .fit import Doubts
from .optimizer import Recipe
from .saved_tensors import ActivationPolicy
from .training import TrainingMemory, states_on_rank, training_memory


@record
class ParallelMemory(NotebookDisplay):
    """Training memory per pipeline stage.

    All attributes except ``mesh``, ``stages`` and ``doubts``, what is not modelled, describe the worst stage.
    """

    mesh: Mesh
    stages: tuple[TrainingMemory, ...]
    doubts: Doubts | None = None

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
        return self.stages[0] if len(self.stages) == 1 else max(self.stages, key=lambda stage: stage.peak)

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


def states_fit(architecture: Architecture, recipe: Recipe, mesh: Mesh, room: int) -> bool:
    """Return whether weights, gradients and optimizer states, which the optimizer step needs, fit on every stage."""
    distinct = {layers_of(part): part for part in reversed(pipeline_stages(architecture, mesh.pp))}
    return all(sum(states_on_rank(part, recipe, mesh)[1][:3]) <= room for part in distinct.values())


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

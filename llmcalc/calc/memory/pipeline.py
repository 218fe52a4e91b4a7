"""A training step spread over ranks: pipeline stages, each with its layers and its micro-batches in flight."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ...core.architecture import Architecture, Run, Stack
from ...core.errors import InputError, SizeError
from ...core.notebook_display import NotebookDisplay
from ...core.record import record
from ...core.workload import Workload
from ..sharding import Mesh
from .model_states import Recipe
from .recompute import Policy
from .training import TrainingMemory, training_memory


@record
class ParallelMemory(NotebookDisplay):
    """The training memory of each pipeline stage; the figures are those of the rank with the largest peak."""

    mesh: Mesh
    stages: tuple[TrainingMemory, ...]

    @cached_property
    def worst(self) -> TrainingMemory:
        """The stage whose ranks need most."""
        return max(self.stages, key=lambda stage: stage.peak)

    def __getattr__(self, name: str) -> Any:
        """Figures of the worst stage: ``peak``, ``phase``, ``weights``, ``activations`` ..."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.worst, name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the worst stage's figures, and every stage's peak."""
        return {
            **self.worst.to_dict(),
            "worst_stage": self.stages.index(self.worst),
            "peaks": [s.peak for s in self.stages],
        }


def parallel_memory(
    architecture: Architecture, workload: Workload, policy: Policy, recipe: Recipe, mesh: Mesh
) -> ParallelMemory:
    """The memory of every stage of a mesh.

    Raises:
        SizeError: ranks that do not divide what they share.
        InputError: a pipeline through an encoder-decoder model.
    """
    if mesh.pp == 1:
        return ParallelMemory(mesh, (training_memory(architecture, workload, policy, recipe, mesh),))
    if len(architecture.stacks) > 1:
        raise InputError("a pipeline through more than one stack is not modelled", where="--pp")
    stack = architecture.stacks[0]
    found = []
    for stage, runs in enumerate(_split(stack, mesh.pp)):
        part = Stack(
            stack.name,
            stack.d_model,
            stack.inputs if stage == 0 else (),
            runs,
            stack.outputs if stage == mesh.pp - 1 else (),
            stack.role,
        )
        slice_ = Architecture(architecture.name, (part,), layout=architecture.layout)
        found.append(training_memory(slice_, workload, policy, recipe, mesh, in_flight(mesh, stage, mesh.batches)))
    return ParallelMemory(mesh, tuple(found))


def in_flight(mesh: Mesh, stage: int, batches: int) -> tuple[int, int]:
    """Micro-batches whose activations a stage of a 1F1B schedule holds at once, as a fraction.

    The first of p stages holds p of them, the last one; interleaving multiplies the first stage's by
    ``1 + (p - 1) / (p · chunks)`` [korthikanti2022, Section 4.2.3].
    """
    stages = mesh.pp
    held = min(stages - stage, batches)
    if mesh.virtual_stages == 1:
        return held, 1
    return held * stages * mesh.virtual_stages + (stages - 1 if stage == 0 else 0) * held, stages * mesh.virtual_stages


def _split(stack: Stack, stages: int) -> list[tuple[Run, ...]]:
    """The blocks of a stack in equal shares, in their order."""
    blocks = [run for run in stack.runs for _ in range(run.count)]
    if stages > len(blocks):
        raise SizeError(f"pp ({stages}) is more than the {len(blocks)} layers", where="--pp")
    if len(blocks) % stages:
        raise SizeError(
            f"pp ({stages}) does not divide the {len(blocks)} layers", where="--pp", hint="stages are equal"
        )
    size = len(blocks) // stages
    return [_grouped(blocks[start : start + size]) for start in range(0, len(blocks), size)]


def _grouped(blocks: list[Run]) -> tuple[Run, ...]:
    found: list[Run] = []
    for run in blocks:
        if found and found[-1].block is run.block:
            found[-1] = Run(run.block, found[-1].count + 1, run.shared)
        else:
            found.append(Run(run.block, 1, run.shared))
    return tuple(found)

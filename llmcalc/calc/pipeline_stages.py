"""Pipeline stages: the part of an architecture that each of them stores and executes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..core.architecture import Architecture, PipelineStage, Run, Stack
from ..core.errors import InputError, SizeError
from ..core.record import changed, remembered


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
    if not architecture.is_single_stack:
        raise InputError("pipeline parallelism is modelled only for architectures with one stack", parameter="pp")
    first, sizes = 0, _stage_sizes(architecture.main, stages, uneven)
    for stage, size in enumerate(sizes):
        is_last = stage == len(sizes) - 1
        part = layer_range(architecture, first, first + size, is_last)
        yield changed(part, stacks=(*part.stacks, *architecture.predictions)) if is_last else part
        first += size


def layer_range(architecture: Architecture, first: int, end: int, is_last: bool = True) -> PipelineStage:
    """Return the layers of the main stack from ``first`` up to ``end``, with its inputs and outputs at the ends.

    The outputs are left out if ``is_last`` is False, before a stage that has the outputs alone.
    """
    stack = architecture.main
    equal_runs = zip(stack.runs, stack.first_runs, strict=True)
    blocks = [(id(run.block), equal, run.shared) for run, equal in equal_runs for _ in range(run.count)]
    inputs, outputs = stack.inputs if first == 0 else (), stack.outputs if end == len(blocks) and is_last else ()
    parts = ((equal, len([*same]), shared) for (_, equal, shared), same in groupby(blocks[first:end]))
    # Equal blocks become one object, so that results by block are shared.
    runs = tuple(Run(stack.runs[equal].block, count, shared) for equal, count, shared in parts)
    part = Stack(stack.name, stack.d_model, inputs, runs, outputs, stack.role)
    return PipelineStage(architecture.name, (part,), layout=architecture.layout, model=architecture, first_layer=first)


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


def layers_of(part: Architecture) -> object:
    """Return the identities of the layers of a pipeline stage, which equal stages share."""
    return tuple(
        (bool(stack.inputs), bool(stack.outputs), *((id(run.block), run.count, run.shared) for run in stack.runs))
        for stack in part.stacks
    )

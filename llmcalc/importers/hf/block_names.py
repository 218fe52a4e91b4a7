"""Numbering of block names, so that different blocks in a stack have different names."""

from __future__ import annotations

from ...core.architecture import Architecture, Block, Run, Stack
from ...core.layer_history import without_n_sums
from ...core.record import changed


def with_numbered_names(architecture: Architecture) -> Architecture:
    """Append a number to each block name that an earlier, different block already uses."""
    stacks = tuple(map(_with_numbered_names, architecture.stacks))
    unchanged = all(new is old for new, old in zip(stacks, architecture.stacks, strict=True))
    return architecture if unchanged else changed(architecture, stacks=stacks)


def _with_numbered_names(stack: Stack) -> Stack:
    n_names = len({run.block.name for run in stack.runs})
    if n_names == len({id(run.block) for run in stack.runs}):
        return stack
    plain = without_n_sums(stack)
    if plain is not stack and n_names == len({run.block for run in plain.runs}):
        return stack
    known: dict[str, dict[Block, int]] = {}
    runs = []
    for run in stack.runs:
        namesakes = known.setdefault(run.block.name, {})
        number = namesakes.setdefault(run.block, len(namesakes) + 1)
        block = run.block if number == 1 else changed(run.block, name=f"{run.block.name}_{number}")
        runs.append(Run(block, run.count, run.shared))
    return changed(stack, runs=tuple(runs))

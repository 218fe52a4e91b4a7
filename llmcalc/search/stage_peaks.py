"""Peaks of a training step of one pipeline stage on many layouts, as arrays (``calc/memory/timeline.py``).

Layouts have the same ranks of tensor and expert parallelism and the same recomputation. They differ in micro-batches,
virtual stages, replicas and ZeRO. Bytes of activations are those of one sequence on one context-parallel rank times the
size of a micro-batch, so that they may differ from ``memory`` by the rounding of shares.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..calc.memory.optimizer import Recipe
from ..calc.memory.saved_tensors import ActivationPolicy
from ..calc.memory.training import segments_and_loss
from ..calc.memory.zero import (
    SHARDS_GRADIENTS,
    SHARDS_OPTIMIZER,
    SHARDS_WEIGHTS,
    ReplicatedBytes,
    SegmentStates,
    model_states,
    segment_states,
)
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.record import NamedTuple, changed, remembered
from ..core.workload import Workload

Sizes = Any  # integers or floats, or arrays of them


class Replicas(NamedTuple):
    """How many layouts divide what replicas share.

    Attributes:
        zero: ZeRO stages.
        dense, expert: ranks that share the tensors outside of and inside routed experts.
        is_pipeline: whether there are several pipeline stages, as ``pp``.
    """

    zero: Sizes
    dense: Sizes
    expert: Sizes
    is_pipeline: bool

    def on_rank(self, size: ReplicatedBytes, stage: int) -> Sizes:
        """Return bytes on one rank, divided from a ZeRO stage on."""
        return np.where(self.zero >= stage, self.sharded(size), int(size.dense) + int(size.expert))

    def sharded(self, size: ReplicatedBytes) -> Sizes:
        """Return bytes on one rank after division."""
        return np.ceil(int(size.dense) / self.dense) + np.ceil(int(size.expert) / self.expert)

    def gathered(self, size: ReplicatedBytes, is_divided: Sizes) -> Sizes:
        """Return the bytes of full tensors that are gathered where they are divided."""
        own = int(size.dense) * (self.dense > 1) + int(size.expert) * (self.expert > 1)
        return np.where(is_divided, own, 0)


class StagePeaks:
    """Memory of a pipeline stage on layouts that differ in micro-batches, virtual stages, replicas and ZeRO."""

    def __init__(self, part: Architecture, seq: int, policy: ActivationPolicy, recipe: Recipe, mesh: Mesh) -> None:
        workload = Workload(batch=1, seq=seq, mode="train", extend=True)
        one = changed(mesh, cp=1)
        segments, self.loss = segments_and_loss(part, workload, policy, one)
        self.recipe, key = recipe, (recipe, one.division)
        self.states = remembered(part, "_model_states", key, lambda: model_states(part, recipe, one))
        of_segments = remembered(part, "_segment_states", key, lambda: segment_states(part, recipe, one))
        self.segments = [
            (segment, of_segments.get(key, SegmentStates()), _largest(segment.backward_sizes()))
            for key, own in segments.items() for segment in own
        ]  # fmt: skip

    def peaks(self, sequences: Sizes, n_batches: Sizes, others: Sizes, replicas: Replicas) -> Sizes:
        """Return the peaks in bytes.

        Args:
            sequences: size of a micro-batch, divided by the number of context-parallel ranks.
            n_batches: micro-batches of a step.
            others: other micro-batches in flight, as a number of micro-batches.
            replicas: what replicas divide.
        """
        states, recipe, on_rank = self.states, self.recipe, replicas.on_rank
        weights, optimizer = on_rank(states.weights, SHARDS_WEIGHTS), on_rank(states.optimizer, SHARDS_OPTIMIZER)
        gradients = on_rank(states.gradients, SHARDS_GRADIENTS)
        accumulated = int(states.gradients.total) if replicas.is_pipeline else gradients
        resident = gradients if recipe.contiguous_gradient_buffer else np.where(n_batches > 1, accumulated, 0)
        gathers, shards = replicas.zero >= SHARDS_WEIGHTS, replicas.zero >= SHARDS_GRADIENTS
        gathered = partial(replicas.gathered, is_divided=gathers & (not replicas.is_pipeline))
        is_full = shards & (not (replicas.is_pipeline or recipe.contiguous_gradient_buffer))
        outside = replicas.gathered(states.weights, gathers & replicas.is_pipeline)
        outside = outside + sum(gathered(own.weights) for each, own, _ in self.segments if each.is_outside)
        blocks = [gathered(own.weights) for each, own, _ in self.segments if not each.is_outside]
        held = sum(each.count * int(each.saved) for each, *_ in self.segments)
        in_flight, base = others * held * sequences, weights + optimizer
        saved = in_flight + (held + int(self.loss.saved)) * sequences
        found = [
            base + outside + resident + saved + (blocks[-1] if blocks else 0),
            base + outside + resident + saved + int(self.loss.transient) * sequences,
        ]
        done: Sizes = 0
        full: Sizes = 0
        reducing: Sizes = 0
        for segment, own, sizes in reversed(self.segments):
            own_full = replicas.gathered(own.gradients, is_full)
            own_done: Sizes = np.where(own_full > 0, replicas.sharded(own.new_gradients), int(segment.gradients))
            if segment.is_outside:
                own_done = int(segment.gradients)
            elif segment.shared:
                own_done = np.where(own_full > 0, np.ceil(own_done / max(segment.count, 1)), own_done)
            own_gathered: Sizes = 0 if segment.is_outside else blocks.pop()
            is_new = (own_full > 0) | (resident == 0)
            in_block = _most(activations * sequences + new * is_new for activations, new in sizes)
            numbers = range(segment.count if sizes else 0)
            for number in sorted({*numbers[:2], *numbers[-2:]}):
                last = own_full if number else reducing
                before = np.where(resident > 0, resident, done + number * own_done) + full + last
                previous = blocks[-1] if blocks else 0
                if segment.is_outside or number == segment.count - 1:
                    own_weights = own_gathered + previous
                else:
                    own_weights = own_gathered * (1 if segment.shared else 2)
                rest = (held - (number + 1) * int(segment.saved)) * sequences + in_flight
                found.append(base + outside + own_weights + before + rest + in_block)
            held -= segment.count * int(segment.saved)
            if segment.is_outside:
                full = full + own_full
                done, reducing = done + np.where(own_full > 0, 0, own_done), np.where(own_full > 0, reducing, own_full)
            else:
                done, reducing = done + segment.count * own_done, own_full
        if states.tied_table:
            reduced = np.where(resident > 0, resident, done) + full + reducing
            own_gradients = np.where(full > 0, reduced, np.where(resident > 0, resident, gradients))
            found.append(base + outside + own_gradients + 2 * states.tied_table * recipe.gradient_bytes)
        found.append(base + gradients + recipe.n_temporaries * states.largest_tensor * recipe.weight_bytes)
        return _most(found)


def _largest(sizes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs that may have the largest sum, for any factor of the first number: those that no other exceeds.

    >>> _largest([(3, 1), (2, 1), (1, 2)])
    [(3, 1), (1, 2)]
    """
    found = list[tuple[int, int]]()
    for held, weights in sorted(sizes, reverse=True):
        if not found or weights > found[-1][1]:
            found.append((held, weights))
    return found


def _most(sizes: Any) -> Sizes:
    found: Sizes = 0
    for size in sizes:
        found = np.maximum(found, size)
    return found

"""Record of the collectives of a sub-layer."""

from __future__ import annotations

from ..collectives import FORWARD, UPDATE, Collective
from ..sharding import Mesh
from ..walk import Extent, Placed


class Recorder:
    """Collectives of the parallel branches of a sub-layer.

    Attributes:
        mesh: number of ranks of each kind of parallelism.
        training: whether the step has a backward pass.
        reduced_weights: weights whose gradients are reduced, also by other sub-layers.
        found: recorded collectives.
    """

    def __init__(self, mesh: Mesh, bits: int, gradient_bits: int, training: bool, reduced_weights: set[object]) -> None:
        self.mesh, self.bits, self.gradient_bits, self.training = mesh, bits, gradient_bits, training
        self.reduced_weights = reduced_weights
        self.found: list[Collective] = []
        self._keys: set[object] = set()

    def is_first(self, *key: object) -> bool:
        """Return whether no collective with this key has been recorded yet."""
        is_first = key not in self._keys
        self._keys.add(key)
        return is_first

    def has_gradient(self, place: Placed) -> bool:
        """Return whether the step computes gradients of a layer."""
        return self.training and not place.entry.stack.frozen

    def add(
        self,
        place: Placed,
        kind: str,
        group: tuple[str, int],
        tensor: str,
        phase: str,
        factors: tuple[tuple[str, Extent], ...],
        *,
        shards: int = 1,
        bits: int | None = None,
        times: int = 0,
    ) -> None:
        """Record a collective of a tensor. Gradients are recorded only in the training of a layer that is trained."""
        if phase != FORWARD and not self.has_gradient(place):
            return
        entry = place.entry
        times = times or entry.applied * (self.mesh.batches if self.training else 1)
        width = bits or (self.gradient_bits if phase == UPDATE else self.bits)
        component = entry.layer.component()
        self.found.append(Collective(place, component, kind, *group, tensor, phase, factors, shards, times, width))

"""Record of the collectives of a model."""

from __future__ import annotations

from ...core.declaration import Declaration
from ...core.equation import Equation
from ...core.type_names import Any
from ..collectives import FORWARD, UPDATE, Collective
from ..sharding import Mesh
from ..walk import Extent, Placed

FollowedLayer = tuple[list[Placed], list[Collective], list[Any]]


class Recorder:
    """Collectives of a model.

    Attributes:
        mesh: number of ranks of each kind of parallelism.
        training: whether the step has a backward pass.
        reduced_weights: weights whose gradients are reduced.
        found: recorded collectives.
        layers: places, collectives and outputs of layers, whose equations are not followed again for equal layers.
    """

    def __init__(
        self,
        mesh: Mesh,
        bits: int,
        gradient_bits: int,
        training: bool,
        layers: dict[tuple[object, ...], FollowedLayer],
    ) -> None:
        self.mesh, self.bits, self.gradient_bits, self.training = mesh, bits, gradient_bits, training
        self.layers = layers
        self.reduced_weights: set[object] = set()
        self.found: list[Collective] = []
        self._keys: set[object] = set()
        self._shards: dict[tuple[int, tuple[str, ...]], int] = {}
        self._reductions: dict[tuple[int, int], tuple[str, int]] = {}

    def enter_sublayer(self) -> None:
        """Begin the parallel branches of another sub-layer, whose collectives are recorded even if keys are equal."""
        self._keys = set()

    def shards(self, axes: tuple[str, ...], declaration: Declaration) -> int:
        """Return the number of ranks over which tensor parallelism divides a tensor, found once for equal layers."""
        key = id(declaration), axes
        if key not in self._shards:
            self._shards[key] = self.mesh.shards(axes, declaration)
        return self._shards[key]

    def reduction(self, equation: Equation, declaration: Declaration) -> tuple[str, int]:
        """Return the group of ranks over which a result is summed, found once for equal layers."""
        key = id(declaration), id(equation)
        if key not in self._reductions:
            self._reductions[key] = self.mesh.reduction(equation, declaration)
        return self._reductions[key]

    def is_first(self, *key: object) -> bool:
        """Return whether no collective with this key has been recorded yet."""
        is_first = key not in self._keys
        self._keys.add(key)
        return is_first

    def has_gradient(self, place: Placed) -> bool:
        """Return whether the step computes gradients of a layer."""
        return self.training and not place.entry.stack.frozen

    def executions(self, place: Placed) -> int:
        """Return how often a step executes a layer."""
        return place.entry.applied * (self.mesh.batches if self.training else 1)

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
        times = times or self.executions(place)
        width = bits or (self.gradient_bits if phase == UPDATE else self.bits)
        component = entry.layer.component()
        self.found.append(Collective(place, component, kind, *group, tensor, phase, factors, shards, times, width))

"""Simulated ranks, and the elements of the tensors that they exchange in collectives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod

from ..calc.collectives import ALL_GATHER, FORWARD, UPDATE
from ..twins.weights import Array

Parts = list[Array]  # local arrays by rank


class Ranks:
    """Simulated ranks of a mesh, and the elements of the tensors that they exchange.

    Attributes:
        sizes: number of ranks along each axis of the mesh. Several axes can belong to one group.
        groups: name of the parallelism of each axis, such as ``tp``.
        tokens: sequence length, if sums over tensor-parallel ranks are scattered over the sequence.
        experts: axes of the mesh that divide routed experts.
        phase: phase of the step.
        scope: sub-layer that runs.
        exchanged: elements by (collective, group, number of ranks, phase).
    """

    def __init__(self, axes: Mapping[str, tuple[str, int]], tokens: int = 0, experts: Sequence[str] = ()) -> None:
        self.sizes = {axis: size for axis, (_, size) in axes.items()}
        self.groups = {axis: group for axis, (group, _) in axes.items()}
        self.places = [dict(zip(axes, place, strict=True)) for place in product(*map(range, self.sizes.values()))]
        self.tokens, self.experts, self.phase = tokens, experts, FORWARD
        self.scope: object = None
        self.exchanged: dict[tuple[str, str, int, str], Fraction] = defaultdict(Fraction)
        self._known: set[object] = set()
        self._unsaved: set[object] = set()

    @property
    def share_of_tokens(self) -> list[str]:
        """Axes along which ranks have the same tokens and each sends a share of them to the experts.

        No token is sent if all experts are on these ranks.
        """
        within = [axis for axis in self.experts if self.groups[axis] == "tp"]
        return [] if self.tokens or len(within) == len(self.experts) else within

    def peers(self, rank: int, axes: Iterable[str]) -> list[int]:
        """Return the ranks that differ from a rank only along the given axes, in order."""
        own = {axis: at for axis, at in self.places[rank].items() if axis not in axes}
        return [number for number, place in enumerate(self.places) if own.items() <= place.items()]

    def share(self, rank: int, axes: Iterable[str], length: int) -> slice:
        """Return the part of a dimension that a rank stores."""
        at, count = 0, 1
        for axis in self.sizes:
            if axis in axes:
                at, count = at * self.sizes[axis] + self.places[rank][axis], count * self.sizes[axis]
        if length % count:
            raise NotImplementedError(f"{count} ranks cannot divide a dimension of length {length}")
        return slice(at * (length // count), (at + 1) * (length // count))

    def shares(self, rank: int, splits: Mapping[str, int], shape: Sequence[int]) -> tuple[slice, ...]:
        """Return the part of an array that a rank stores, given the divided dimension of each axis."""
        found = [slice(None)] * len(shape)
        for dim in set(splits.values()):
            found[dim] = self.share(rank, [axis for axis, at in splits.items() if at == dim], shape[dim])
        return tuple(found)

    def exchange(
        self,
        kind: str,
        parts: Parts,
        axes: Sequence[str],
        made: Callable[[Parts], Array],
        is_saved: bool = True,
        n_owners: int = 1,
    ) -> Parts:
        """Return the result of a collective, and count its elements unless the ranks have the result already.

        A result that is not saved is exchanged again in other sub-layers and in the backward pass.
        """
        key = self._key(kind, parts, axes, None if is_saved and self.phase == FORWARD else self.scope)
        found = [made([parts[peer] for peer in self.peers(rank, axes)]) for rank in range(len(parts))]
        if not self.is_known(kind, parts, axes):
            self.count(kind, axes, Fraction((found if kind == ALL_GATHER else parts)[0].size, n_owners))
            self._known.add(key)
            if not is_saved:
                self._unsaved.add(key)
        return found

    def count(self, kind: str, axes: Sequence[str], n_elements: Fraction | int, group: str = "") -> None:
        """Count the elements of the tensor of a collective."""
        count = prod(self.sizes[axis] for axis in axes)
        self.exchanged[kind, group or self.group(axes[0]), count, self.phase] += n_elements

    def is_known(self, kind: str, parts: Parts, axes: Sequence[str]) -> bool:
        """Return whether the ranks have the result of a collective already."""
        return any(self._key(kind, parts, axes, scope) in self._known for scope in (None, self.scope))

    def start(self, phase: str) -> None:
        """Start a phase, and drop the results that are not saved for it. Weights with equal gradients are separate."""
        self.phase = phase
        self._known -= self._known if phase == UPDATE else self._unsaved
        self._unsaved = set()

    def _key(self, kind: str, parts: Parts, axes: Sequence[str], scope: object) -> object:
        return (scope, kind, *axes, *(part.tobytes() for part in parts))

    def group(self, axis: str) -> str:
        """Return the parallelism whose ranks exchange data along an axis. Ranks with other tokens are replicas of the
        weights.
        """
        name = self.groups[axis]
        return "dp" if self.phase == UPDATE and name != "tp" else name

    def by_group(self, axes: Iterable[str]) -> list[list[str]]:
        """Return the axes by group, in the order of the mesh, of the groups that have any."""
        wanted = set(axes)
        named = [axis for axis in self.sizes if axis in wanted]
        groups = dict.fromkeys(map(self.group, self.sizes))
        return list(filter(None, ([axis for axis in named if self.group(axis) == group] for group in groups)))

"""Equations that the backward pass of a training step computes again, by the policy of ``memory/recomputation.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from operator import mul

from ..core.architecture import declare
from ..core.type_names import Any
from .memory.recomputation import OPERATIONS, equation_words, recomputation, recomputed
from .memory.recomputation import Placed as PlacedEquation
from .walk import Placed
from .work import Work


class RecomputedWork:
    """Equations of a pipeline stage that the backward pass computes again, with the share of equal layers that do."""

    def __init__(self, works: Sequence[Work], text: str, chunks: int = 1) -> None:
        """Find the equations.

        Args:
            works: all equations of the layers of a pipeline stage, in order.
            text: value of the setting ``recompute``.
            chunks: number of virtual stages.
        """
        self.policy = recomputation(text)
        self.shares: dict[int, Fraction] = {}  # by the identity of the work
        self.places: dict[tuple[str, ...], Fraction] = {}  # smallest share of the equations of a layer
        blocks = dict[tuple[str, int], list[Work]]()
        for work in works if self.policy.words else ():
            if work.entry.run is not None:
                blocks.setdefault((work.entry.stack.name, work.entry.run), []).append(work)
        for (_, run), block in blocks.items():
            self._add(block, run, chunks)

    def _add(self, block: list[Work], run: int, chunks: int) -> None:
        stack = block[0].entry.stack
        before = sum(each.count for each in stack.runs[:run])
        layers = self.policy.layers(stack.n_layers, chunks)[before : before + stack.runs[run].count]
        again = recomputed([PlacedEquation(work.entry.path, _words(work)) for work in block], self.policy)
        for work, is_again in zip(block, again, strict=True):
            share = Fraction(sum(layers), max(len(layers), 1)) if is_again else Fraction(0)
            place = _path(work.place)
            self.shares[id(work)] = share
            self.places[place] = min(share, self.places.get(place, share))

    def share(self, works: Sequence[Work], values: Mapping[str, Any]) -> float:
        """Return the share of the work of an operation, which computes several equations, that is done again."""
        shares = [float(self.shares.get(id(work), 0)) for work in works]
        if len(set(shares)) == 1:
            return shares[0]
        sizes = [max(float(work.flops(**values)), 1.0) for work in works]
        return float(sum(map(mul, shares, sizes)) / sum(sizes))

    def share_of_collectives(self, place: Placed | None) -> float:
        """Return the share of the collectives of a layer that are repeated. ``op`` saves their results."""
        if place is None or OPERATIONS in self.policy.words:
            return 0.0
        return float(self.places.get(_path(place), 0))


def _path(place: Placed) -> tuple[str, ...]:
    return (*place.entry.path, *place.part)


def _words(work: Work) -> frozenset[str]:
    return equation_words(work.place.declaration, declare(work.entry.layer))[work.equation.text]

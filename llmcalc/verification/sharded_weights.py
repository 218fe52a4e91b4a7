"""Weights of which each data-parallel rank updates a shard [rajbhandari2019].

If the ranks store nothing but their shards, they gather the weights of a block before the block runs. A block has its
weights only while it runs. They are overwritten with NaN afterwards, and gathered again for the backward pass. Layers
outside of blocks belong to the root of the model, which keeps its weights until the step ends. Otherwise, the ranks
have all weights, and gather the updated ones at the end of a step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from ..calc.collectives import ALL_GATHER, FORWARD, REDUCE_SCATTER
from ..twins import gradients
from ..twins.tape import Variable
from ..twins.weights import Array
from .ranks import Parts, Ranks
from .sharded_array import ShardedArray

Unit = tuple[object, ...]  # use of a block


class ShardedWeights:
    """Weights that are divided into equal shards, one for each replica of a rank.

    Attributes:
        is_stored: whether the ranks store the shards alone, and gather them.
        tied: names of tensors that several layers share. They belong to the first of these layers, and the others use
            them in the forward pass as they are.
        unit: use of the block that runs, or an empty tuple in layers outside of blocks.
    """

    def __init__(
        self, ranks: Ranks, weights: Mapping[str, ShardedArray], tied: Collection[str] = (), is_stored: bool = True
    ) -> None:
        self.ranks, self.weights, self.tied, self.is_stored = ranks, weights, tied, is_stored
        self.unit: Unit = ()
        self._gathered: dict[tuple[str, Unit], Variable] = {}
        self._is_dropped: set[tuple[str, Unit]] = set()
        self._shards = {name: self._divided(self._replicas(name), each.parts) for name, each in weights.items()}

    def without_values(self) -> dict[str, ShardedArray]:
        """Return the weights as arrays of NaN, which no layer can use before it has gathered them."""
        return {
            name: each.with_parts([np.full_like(part, np.nan) for part in each.parts], each.shape, each.splits)
            for name, each in self.weights.items()
        }

    def gather(self, name: str, variable: Variable) -> Variable:
        """Return a weight that the ranks gather once per use of a block, or a copy of a weight that they have."""
        if name not in self.weights:  # a buffer
            return variable
        key = next((key for key in self._gathered if key[0] == name and name in self.tied), (name, self.unit))
        if key not in self._gathered:
            stored: Any = variable.value
            parts = self._whole_parts(name) if self.is_stored else stored.parts
            value = stored.with_parts(parts, stored.shape, stored.splits)
            result = gradients.Result(value, [gradients.Pullback(lambda gradient: gradient)])
            self._gathered[key] = variable.tape.record(result, (variable,))
        return self._gathered[key]

    def __contains__(self, variable: Variable) -> bool:
        return any(variable is each for each in self._gathered.values())

    def enter(self, unit: Unit) -> None:
        """Enter another block. The weights of the earlier one are dropped, and those of the block are gathered again if
        they were dropped before.
        """
        if unit == self.unit:
            return
        for key in self._gathered.keys() - self._is_dropped if self.is_stored else ():
            is_over = key[1] == self.unit if key[0] not in self.tied else self.ranks.phase != FORWARD
            if key[1] and is_over:
                self._write(key, [np.array(np.nan)] * len(self.ranks.places))
                self._is_dropped.add(key)
        self.unit = unit
        for key in [key for key in self._is_dropped if key[1] == unit]:
            self._write(key, self._whole_parts(key[0]))
            self._is_dropped.remove(key)

    def scattered_gradient(self, name: str, gradient: ShardedArray) -> ShardedArray:
        """Return the gradient of a weight. Each replica reduces its own shard of it."""
        axes = self._replicas(name)
        gradient = gradient.as_sum(set(axes))
        self.ranks.count(REDUCE_SCATTER, axes, gradient.parts[0].size)
        groups = [self.ranks.peers(rank, axes) for rank in range(len(gradient.parts))]
        totals: Parts = [sum(gradient.parts[peer] for peer in peers) for peers in groups]
        whole = self._joined(self._divided(axes, totals), axes, gradient.parts[0].shape)
        partial = gradient.partial - set(axes)
        return ShardedArray(self.ranks, whole, gradient.shape, gradient.splits, partial, owners=gradient.owners)

    def updated(self, name: str, gradient: ShardedArray) -> ShardedArray:
        """Return a weight after a step of gradient descent. Each rank updates its shard and gathers the others."""
        axes, own = self._replicas(name), self.weights[name]
        steps = self._divided(axes, gradient.parts)
        shards = [shard - step for shard, step in zip(self._shards[name], steps, strict=True)]
        if axes and not self.is_stored:
            self.ranks.count(ALL_GATHER, axes, own.parts[0].size, "dp")
        return own.with_parts(self._joined(shards, axes, own.parts[0].shape), own.shape, own.splits)

    def _replicas(self, name: str) -> list[str]:
        """Return the mesh axes along which ranks have the same weight and different tokens."""
        own = self.weights[name].splits
        return [axis for axis, group in self.ranks.groups.items() if group != "tp" and axis not in own]

    def _divided(self, axes: Iterable[str], parts: Parts) -> Parts:
        """Return the shard of each rank, of as many as there are ranks along the given axes."""
        return [self._shard(rank, axes, part) for rank, part in enumerate(parts)]

    def _shard(self, rank: int, axes: Iterable[str], part: Array) -> Array:
        peers = self.ranks.peers(rank, axes)
        return np.array_split(part.ravel(), len(peers))[peers.index(rank)]

    def _joined(self, shards: Parts, axes: Iterable[str], shape: tuple[int, ...]) -> Parts:
        peers = (self.ranks.peers(rank, axes) for rank in range(len(shards)))
        return [np.concatenate([shards[peer] for peer in each]).reshape(shape) for each in peers]

    def _whole_parts(self, name: str) -> Parts:
        axes, shape = self._replicas(name), self.weights[name].parts[0].shape
        if axes:
            self.ranks.count(ALL_GATHER, axes, self.weights[name].parts[0].size, "dp")
        return self._joined(self._shards[name], axes, shape)

    def _write(self, key: tuple[str, Unit], values: Parts) -> None:
        value: Any = self._gathered[key].value
        for part, own in zip(value.parts, values, strict=True):
            part[...] = own

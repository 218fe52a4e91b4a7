"""Weight shapes of a layer, and access to weight arrays by name.

Each entry of a weight's ``groups`` is one dimension in a checkpoint, such as the combined heads and head width.
In memory, every size is a separate dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ..core.record import NamedTuple

Array = Any  # an ndarray, an observed array (observer.py), or a variable of the tape (tape.py)
Sizes = tuple[int, ...]


class Weight(NamedTuple):
    """A layer weight. The last two groups of a ``matrix`` are the input and output dimensions.

    Attributes:
        computed: whether the layer computes the weight and ignores the stored values.
        below: exclusive upper bound of the distinct integers in each table row, or 0 for a real-valued weight.
    """

    name: str
    groups: tuple[Sizes, ...]
    matrix: bool = False
    per_expert: bool = False
    share: str | None = None
    buffer: bool = False
    mean: float = 0.0
    computed: bool = False
    below: int = 0

    @property
    def shape(self) -> Sizes:
        """Shape of the array in memory."""
        return tuple(size for group in self.groups for size in group)

    def random(self, rng: np.random.Generator, spread: float) -> Array:
        """Return random initial values."""
        if self.below:
            return np.argsort(rng.random((self.shape[0], self.below)), axis=1)[:, : self.shape[1]]
        return self.mean + spread * rng.standard_normal(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def matrix(name: str, inputs: int | Sizes, outputs: int | Sizes, experts: int | None = None) -> Weight:
    """Return the weight matrix of ``y = x w``, or one matrix per expert if ``experts`` is given."""
    lead = () if experts is None else ((experts,),)
    return Weight(name, (*lead, _sizes(inputs), _sizes(outputs)), matrix=True, per_expert=experts is not None)


def adapters(name: str, inputs: int | Sizes, outputs: int | Sizes, places: int) -> Weight:
    """Return one matrix for each of the ``places`` where a shared layer is used."""
    return matrix(name, inputs, outputs, experts=places)._replace(per_expert=False)


def vector(name: str, *sizes: int, mean: float = 0.0) -> Weight:
    """Return a bias or scale. Multiple sizes form a single dimension in a checkpoint."""
    return Weight(name, (sizes,), mean=mean)


def table(name: str, *sizes: int, share: str | None = None, buffer: bool = False) -> Weight:
    """Return a lookup table or untransposed matrix, stored with one dimension per size."""
    return Weight(name, tuple((size,) for size in sizes), share=share, buffer=buffer)


def kernel(name: str, channels: int | Sizes, taps: int) -> Weight:
    """Return the kernel of a depthwise convolution."""
    return Weight(name, (_sizes(channels), (taps,)))


def under(part: str, weights: list[Weight]) -> list[Weight]:
    """Return an inner layer's weights with prefixed names, as for shared experts."""
    return [weight._replace(name=f"{part}.{weight.name}") for weight in weights]


def constant(array: Array) -> Array:
    """Return the array detached from the tape, so that no gradient flows through it."""
    return getattr(array, "value", array)


def _sizes(size: int | Sizes) -> Sizes:
    return (size,) if isinstance(size, int) else size


class Weights:
    """Weight arrays of a layer, accessed by name as ``w.wq``, or as ``w.get("bq")`` if optional."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays

    def __getattr__(self, name: str) -> Array:
        try:
            return self._arrays[name]
        except KeyError:
            raise AttributeError(f"no weight named {name!r}") from None

    def get(self, name: str) -> Array | None:
        """Return the weight named ``name``, or None if the layer has no such weight."""
        return self._arrays.get(name)

    def constant(self) -> Weights:
        """Return the weights detached from the tape, without gradients."""
        return Weights({name: constant(array) for name, array in self._arrays.items()})

    def part(self, name: str) -> Weights:
        """Return the weights of an inner layer."""
        start = f"{name}."
        return Weights({key.removeprefix(start): value for key, value in self._arrays.items() if key.startswith(start)})

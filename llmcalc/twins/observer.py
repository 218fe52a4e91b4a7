"""Operation counts of NumPy computations, measured with an array subclass.

>>> import numpy as np
>>> observer = Observer()
>>> _ = observer.watch(np.ones((2, 3))) @ np.ones((3, 5))
>>> observer.matmul_flops
60
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

MAC = 2  # FLOPs of one multiply-accumulate
# functions without arithmetic
MOVES = {np.concatenate, np.stack, np.transpose, np.broadcast_to, np.repeat, np.swapaxes, np.reshape}


class Observer:
    """Counter of the operations on watched arrays and on arrays computed from them.

    Attributes:
        matmul_flops: FLOPs of contractions (2 per multiply-accumulate).
        elementwise: number of output elements of all other operations.
        bytes: total size of operands and outputs, in bytes.
        matmul_elements: number of elements of the operands and results of contractions.
        n_reads: number of rows that were selected, by weight. A row of the weights of experts belongs to one expert.
    """

    def __init__(self) -> None:
        self.matmul_flops = self.matmul_elements = self.elementwise = self.bytes = 0
        self.n_reads = Counter[str]()

    def watch(self, array: Any) -> Observed:
        """Return a watched view of the array."""
        found = np.asarray(array).view(Observed)
        found.observer = self
        return found

    @contextmanager
    def weights_of(self, model: Any) -> Iterator[Observer]:
        """Watch a model's weights inside a ``with`` block, counting all operations that depend on them."""
        plain = dict(model.tensors)
        for name, array in plain.items():
            model.tensors[name] = self.watch(array)
            model.tensors[name].name = name
        try:
            yield self
        finally:
            model.tensors.update(plain)

    def count(self, what: Callable[..., Any], inputs: tuple[Any, ...], output: Any) -> None:
        """Add one operation to the counts."""
        arrays = [array for array in (*inputs, output) if isinstance(array, np.ndarray)]
        self.bytes += sum(array.nbytes for array in arrays)
        if what in (np.einsum, np.matmul) and output.size:
            self.matmul_elements += sum(array.size for array in arrays)
        if what is np.einsum:  # without a summed axis, each sum has a single term
            self.matmul_flops += MAC * prod(axes_of(inputs).values())
        elif what is np.matmul:
            self.matmul_flops += MAC * output.size * inputs[0].shape[-1]
        elif arrays:
            self.elementwise += arrays[-1].size


def axes_of(inputs: tuple[Any, ...]) -> dict[str, int]:
    """Return the size of each index in an einsum.

    >>> axes_of(("ab,bc->ac", np.ones((2, 3)), np.ones((3, 5))))
    {'a': 2, 'b': 3, 'c': 5}
    """
    terms = inputs[0].partition("->")[0].split(",")
    pairs = (zip(term, np.shape(array), strict=True) for term, array in zip(terms, inputs[1:], strict=True))
    return {letter: size for pair in pairs for letter, size in pair}


class Observed(np.ndarray[Any, Any]):
    """An array that reports its operations to an observer."""

    observer: Observer | None = None
    name = ""  # of a weight; views and results have no name

    def __getitem__(self, key: Any) -> Any:
        if self.name and self.observer and isinstance(key, int | np.ndarray):
            self.observer.n_reads[self.name] += np.size(key)
        return super().__getitem__(key)

    def __array_finalize__(self, source: Any) -> None:
        self.observer = getattr(source, "observer", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        options = {name: _plain(value) for name, value in options.items()}
        return self._run(getattr(ufunc, method), inputs, options, ufunc)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        return self._run(function, inputs, options, function)

    def _run(self, function: Any, inputs: Any, options: Any, counted: Any) -> Any:
        """Return the watched result of a function of plain arrays, which counts unless it only moves elements."""
        observer: Any = self.observer  # every array of this class is watched
        plain = tuple(map(_plain, inputs))
        output = function(*plain, **options)
        if counted not in MOVES:
            observer.count(counted, plain, output)
        return observer.watch(output) if isinstance(output, (np.ndarray, np.generic)) else output


def _plain(value: Any) -> Any:
    if isinstance(value, Observed):
        return value.view(np.ndarray)
    return type(value)(map(_plain, value)) if isinstance(value, (list, tuple)) else value

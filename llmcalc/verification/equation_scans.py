"""Recurrences of preset-defined kinds, computed token by token over named axes.

Operands are aligned to the axes of the state, so a decay can have one value for a head, for a channel, or for each
token. Keys have the axes of the state that the result does not have: ``o[b q h v]`` of a state ``S[b h e v]`` sums
over e.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..twins.functions import operation
from ..twins.weights import Array

Axes = tuple[str, ...]
Step = Callable[..., tuple[Array, ...]]  # the result of a token and the states after it
Sum = Callable[[Array], Array]  # over the axes of keys

RUNNING = ("numerator", "denominator", "maximum")  # states of wkv
OPERANDS = {  # least and largest number of tensors besides the state
    "selective_scan": (4, 4),
    "rg_lru": (2, 2),
    "cumulative_sum": (1, 2),
    "decayed_state": (3, 4),
    "gated_delta": (3, 5),
    "matrix_wkv": (5, 5),
    "wkv": (4, 4),
}


def _selective_scan(keys: Sum, h: Array, u: Array, delta: Array, B: Array, A_log: Array) -> tuple[Array, ...]:
    h = np.exp(-np.exp(A_log) * delta) * h + delta * u * B
    return h, h


def _rg_lru(keys: Sum, h: Array, u: Array, a: Array) -> tuple[Array, ...]:
    h = a * h + np.sqrt(1.0 - a**2) * u
    return h, h


def _cumulative_sum(keys: Sum, h: Array, u: Array, a: Array | float = 1.0) -> tuple[Array, ...]:
    h = a * h + u
    return h, h


def _decayed_state(keys: Sum, S: Array, q: Array, k: Array, v: Array, a: Array | float = 1.0) -> tuple[Array, ...]:
    S = a * S + k * v
    return keys(q * S), S


def _gated_delta(
    keys: Sum, S: Array, q: Array, k: Array, v: Array, beta: Array | float = 1.0, a: Array | float = 1.0
) -> tuple[Array, ...]:
    S = a * S
    S = S + k * (beta * (v - keys(k * S)))
    return keys(q * S), S


def _matrix_wkv(keys: Sum, S: Array, r: Array, k: Array, v: Array, w: Array, first: Array) -> tuple[Array, ...]:
    new = k * v
    return keys(r * (S + first * new)), np.exp(-w) * S + new


def _wkv(
    keys: Sum, top: Array, below: Array, peak: Array, v: Array, k: Array, decay: Array, first: Array
) -> tuple[Array, ...]:
    most = np.maximum(peak, k + first)
    old, new = np.exp(peak - most), np.exp(k + first - most)
    output = (old * top + new * v) / (old * below + new)
    peak = peak - np.exp(decay)
    most = np.maximum(peak, k)
    old, new = np.exp(peak - most), np.exp(k - most)
    return output, old * top + new * v, old * below + new, most


STEPS: dict[str, Step] = {
    "selective_scan": _selective_scan,
    "rg_lru": _rg_lru,
    "cumulative_sum": _cumulative_sum,
    "decayed_state": _decayed_state,
    "gated_delta": _gated_delta,
    "matrix_wkv": _matrix_wkv,
    "wkv": _wkv,
}


def scan(
    function: str, out: Axes, state: Axes, before: Sequence[Array], operands: Sequence[Array], axes: Sequence[Axes]
) -> tuple[Array, ...]:
    """Return the results of all tokens with the axes ``out``, and the states after the last token.

    A tape saves the operands and computes the tokens again for the gradient.
    """
    full = (state[0], "q", *state[1:])
    summed = tuple(place for place, axis in enumerate(state) if axis not in out)
    kept = tuple(axis for axis in full if axis in out)

    def keys(array: Array) -> Array:
        return np.sum(array, axis=summed, keepdims=True) if summed else array

    def run(*arrays: Array) -> tuple[Array, ...]:
        now, outputs = arrays[: len(before)], []
        rows = [aligned(array, own, full) for array, own in zip(arrays[len(before) :], axes, strict=True)]
        for t in range(max(row.shape[1] for row in rows)):
            output, *now = STEPS[function](keys, *now, *(row[:, t if row.shape[1] > 1 else 0] for row in rows))
            outputs.append(output)
        whole = np.stack(outputs, axis=1)
        sizes = (size for size, axis in zip(whole.shape, full, strict=True) if axis in out)
        return aligned(whole.reshape(*sizes), kept, out), *now

    return operation(run)(*before, *operands)


def aligned(array: Array, axes: Axes, out: Axes) -> Array:
    """Transpose an array to the axes ``out``, and insert axes of length 1 for missing axes."""
    order = tuple(axes.index(axis) for axis in out if axis in axes)
    if order != tuple(range(len(axes))):
        array = np.transpose(array, order)
    if len(axes) == len(out):
        return array
    sizes = iter(array.shape)
    return array.reshape(*(next(sizes) if axis in axes else 1 for axis in out))

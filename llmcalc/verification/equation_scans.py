"""Recurrences of preset-defined kinds, computed token by token over named axes.

Operands are aligned to the axes of the state, so a decay can have one value for a head, for a channel, or for each
token. Keys have the axes of the state that the result does not have: ``o[b q h v]`` of a state ``S[b h e v]`` sums
over e.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature

import numpy as np

from ..twins.functions import operation
from ..twins.weights import Array

Axes = tuple[str, ...]
Step = Callable[..., tuple[Array, ...]]  # the result of a token and the states after it
Sum = Callable[[Array], Array]  # over the axes of keys

RUNNING = ("numerator", "denominator", "maximum")  # states of wkv


def selective_scan(keys: Sum, h: Array, u: Array, delta: Array, b: Array, a_log: Array) -> tuple[Array, ...]:
    """Compute ``h = exp(-exp(a_log)·delta)·h + delta·b·u``."""
    h = np.exp(-np.exp(a_log) * delta) * h + delta * u * b
    return h, h


def rg_lru(keys: Sum, h: Array, u: Array, a: Array) -> tuple[Array, ...]:
    """Compute ``h = a·h + sqrt(1 - a²)·u``."""
    h = a * h + np.sqrt(1.0 - a**2) * u
    return h, h


def cumulative_sum(keys: Sum, h: Array, u: Array, a: Array | float = 1.0) -> tuple[Array, ...]:
    """Compute ``h = a·h + u``."""
    h = a * h + u
    return h, h


def decayed_state(keys: Sum, h: Array, q: Array, k: Array, v: Array, a: Array | float = 1.0) -> tuple[Array, ...]:
    """Compute ``h = a·h + k·v; o = q·h``."""
    h = a * h + k * v
    return keys(q * h), h


def gated_delta(
    keys: Sum, h: Array, q: Array, k: Array, v: Array, beta: Array | float = 1.0, a: Array | float = 1.0
) -> tuple[Array, ...]:
    """Compute ``h = a·h; h = h + k·beta·(v - k·h); o = q·h``."""
    h = a * h
    h = h + k * (beta * (v - keys(k * h)))
    return keys(q * h), h


def matrix_wkv(keys: Sum, h: Array, r: Array, k: Array, v: Array, w: Array, first: Array) -> tuple[Array, ...]:
    """Compute ``o = r·(h + first·k·v); h = exp(-w)·h + k·v``."""
    new = k * v
    return keys(r * (h + first * new)), np.exp(-w) * h + new


def wkv(
    keys: Sum, top: Array, below: Array, peak: Array, v: Array, k: Array, decay: Array, first: Array
) -> tuple[Array, ...]:
    """Compute a running average of ``v`` weighted by ``exp(k)``, with the maximum exponent factored out."""
    most = np.maximum(peak, k + first)
    old, new = np.exp(peak - most), np.exp(k + first - most)
    output = (old * top + new * v) / (old * below + new)
    peak = peak - np.exp(decay)
    most = np.maximum(peak, k)
    old, new = np.exp(peak - most), np.exp(k - most)
    return output, old * top + new * v, old * below + new, most


_STEPS = (selective_scan, rg_lru, cumulative_sum, decayed_state, gated_delta, matrix_wkv, wkv)
STEPS: dict[str, Step] = {step.__name__: step for step in _STEPS}


def n_operands(function: str) -> tuple[int, int]:
    """Return the least and the largest number of tensors that a recurrence reads besides its states."""
    parameters = list(signature(STEPS[function]).parameters.values())[1 + (len(RUNNING) if function == "wkv" else 1) :]
    return sum(each.default is each.empty for each in parameters), len(parameters)


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
        now, outputs = list(arrays[: len(before)]), []
        rows = [aligned(array, own, full) for array, own in zip(arrays[len(before) :], axes, strict=True)]
        for t in range(max(row.shape[1] for row in rows)):
            output, *now = STEPS[function](keys, *now, *(row[:, t if row.shape[1] > 1 else 0] for row in rows))
            outputs.append(output)
        whole = np.stack(outputs, axis=1)
        sizes = (size for size, axis in zip(whole.shape, full, strict=True) if axis in out)
        return aligned(whole.reshape(*sizes), kept, out), *now

    results: tuple[Array, ...] = operation(run)(*before, *operands)
    return results


def aligned(array: Array, axes: Axes, out: Axes) -> Array:
    """Transpose an array to the axes ``out``, and insert axes of length 1 for missing axes."""
    order = tuple(axes.index(axis) for axis in out if axis in axes)
    if order != tuple(range(len(axes))):
        array = np.transpose(array, order)
    if len(axes) == len(out):
        return array
    sizes = iter(array.shape)
    return array.reshape(*(next(sizes) if axis in axes else 1 for axis in out))

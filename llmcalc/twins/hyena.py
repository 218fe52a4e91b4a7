"""The Hyena operator [poli2023, Section 3], which combines gates and long convolutions with generated filters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from .convolution import causal_convolution
from .functions import operation
from .step import State, Step, extended, store
from .weights import Array, Weight, Weights, kernel, matrix, table, vector

# a filter decays to TARGET within these shares of its length [poli2023, App. D]
FAST, SLOW, TARGET = 0.3, 1.5, 1e-2


def weights(layer: Any) -> list[Weight]:
    """Return input and output projections, short convolutions, and the network that generates the long filters."""
    d, f, streams, filters = layer.d_model, layer.d_filter, layer.order + 1, layer.order - 1
    found = [matrix("win", d, (streams, d)), vector("bin", streams, d), kernel("short", (streams, d), layer.d_conv)]
    found += [vector("short_b", streams, d), matrix("wo", d, d), vector("bo", d)]
    found += [table("position", layer.filter_length, layer.d_position), matrix("f_in", layer.d_position, f)]
    found += [vector("f_in_b", f), matrix("f_hidden", f, f, experts=layer.n_filter_layers)]
    found += [Weight("f_hidden_b", ((layer.n_filter_layers,), (f,)))]
    return [*found, matrix("f_out", f, (filters, d)), vector("frequency", f, mean=1.0), table("f_bias", filters, d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = x_N · (h_N * ( ... x_1 · (h_1 * v)))``, where x_i and v are projections of ``x[b q d]``."""
    u = einsum("bqd,dyi->bqyi", x, w.win) + w.bin
    u = causal_convolution(u, w.short, w.short_b, state, "short")
    *gates, v = (u[:, :, stream] for stream in range(layer.order + 1))
    taps = _filters(layer, w, step, state)  # [t m i]
    past = state["streams"] if state and "streams" in state else None
    streams = []
    for number, gate in enumerate(reversed(gates[1:])):
        v = v * gate
        streams.append(v)
        everything = v if past is None else np.concatenate([past[:, :, number], v], axis=1)
        v = _long_convolution(everything, taps[:, number])[:, -v.shape[1] :] + v * w.f_bias[number]
    if state is not None:
        extended(state, streams=np.stack(streams, axis=2))
    return einsum("bqi,id->bqd", v * gates[0], w.wo) + w.bo


def _filters(layer: Any, w: Weights, step: Step, state: State | None) -> Array:
    """Return the long filter taps up to the last token, using cached taps from earlier steps."""
    here = slice(step.cached, step.cached + step.ids.shape[1])
    f = _wave(einsum("qk,kf->qf", w.position[here], w.f_in) + w.f_in_b, w.frequency)
    for number in range(layer.n_filter_layers):
        f = _wave(einsum("qf,fo->qo", f, w.f_hidden[number]) + w.f_hidden_b[number], w.frequency)
    taps = einsum("qf,fmi->qmi", f, w.f_out) * _window(layer)[here]
    if state and "_taps" in state:
        taps = np.concatenate([state["_taps"], taps], axis=0)
    store(state, _taps=taps)  # the taps depend on weights alone
    return taps


@operation
def _wave(f: Array, frequency: Array) -> Array:
    """Compute ``sin(frequency · f)`` with learned frequencies."""
    return np.sin(frequency * f)


def _window(layer: Any) -> Array:
    """Return an exponential decay along the filters [t m i], with decay rates spaced linearly over the channels.

    As in the reference implementation (safari, ``hyena.py``), the filters of a channel are adjacent.
    """
    filters = layer.order - 1
    rates = np.linspace(math.log(TARGET) / SLOW, math.log(TARGET) / FAST, layer.d_model * filters)
    along = np.linspace(0.0, 1.0, layer.filter_length)
    return np.exp(along[:, None, None] * rates.reshape(layer.d_model, filters).T)


def _long_convolution(v: Array, taps: Array) -> Array:
    """Compute ``Σ_s taps_s v_{t-s}`` for ``v`` [b t i] and ``taps`` [t i] with zero-padded FFTs."""
    n = 2 * v.shape[1]
    product = np.fft.fft(v, n, axis=1) * np.fft.fft(taps, n, axis=0)
    return np.real(np.fft.ifft(product, axis=1))[:, : v.shape[1]]

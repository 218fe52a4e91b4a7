"""The convolution module of the Conformer [gulati2020, Section 2.2]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.convolution import depthwise_convolution
from ....twins.functions import ACTIVATIONS, layernorm, plus, rmsnorm
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, kernel, matrix, table, vector

EPS = 1e-5  # epsilon of batch and layer norms
INPUT_FIELDS = frozenset({"overrun"})  # rows that the implementation computes and discards


def weights(layer: Any) -> list[Weight]:
    """Return the input, gate and output projections, a depthwise kernel, and an optional norm."""
    for name in (layer.gate, layer.activation):
        if name not in ACTIVATIONS:
            raise UnsupportedError(f"the NumPy model does not implement the activation {name}", where="conv_module")
    d, i = layer.d_model, layer.d_inner
    found = [_matrix(layer, "wv", d, i), _matrix(layer, "wg", d, i), kernel("conv", i, layer.d_conv)]
    found += [_matrix(layer, "mix", i, i)] if layer.separable else []
    found += [_matrix(layer, "wo", i, d)]
    if layer.bias:
        found += [vector("bv", i), vector("bg", i), *([vector("mix_b", i)] if layer.separable else []), vector("bo", d)]
    found += [vector("conv_b", i)] if layer.conv_bias else []
    found += [vector("gate_bv", i), vector("gate_bg", i)] if layer.gate_bias else []
    found += [vector("norm", i, mean=1.0)] if layer.norm != "none" else []
    found += [vector("norm_b", i)] if layer.norm in ("layernorm", "batchnorm") else []
    if layer.norm == "batchnorm":
        found += [vector(name, i, mean=mean)._replace(buffer=True) for name, mean in (("mean", 0.0), ("variance", 1.0))]
    return found


def _matrix(layer: Any, name: str, inputs: int, outputs: int) -> Weight:
    return table(name, outputs, inputs, 1) if layer.kernels else matrix(name, inputs, outputs)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``act(norm(conv(v · gate(g)))) wo``, where v and g are projections of ``x`` [b q d]."""
    step.must_be_whole(layer.kind())
    v, g = (plus(plus(_project(layer, w, f"w{name}", x), w.get(f"b{name}")), w.get(f"gate_b{name}")) for name in "vg")
    u = plus(_convolve(layer, v * ACTIVATIONS[layer.gate](g), w.conv), w.get("conv_b"))
    if layer.separable:
        u = plus(_project(layer, w, "mix", u), w.get("mix_b"))
    u = ACTIVATIONS[layer.activation](_normalise(layer, w, u))
    return plus(_project(layer, w, "wo", u), w.get("bo"))


def _project(layer: Any, w: Weights, name: str, x: Array) -> Array:
    """Apply a projection, which may be stored as a convolution kernel of size 1."""
    weight = getattr(w, name)
    return einsum("bqd,id->bqi", x, weight[:, :, 0]) if layer.kernels else einsum("bqd,di->bqi", x, weight)


def _convolve(layer: Any, u: Array, taps: Array) -> Array:
    """Apply the depthwise convolution to ``u`` [b q i], splitting long sequences into chunks."""
    b, q, i = u.shape
    before = layer.d_conv - 1 if layer.causal else layer.d_conv // 2
    if not layer.chunk or q <= layer.chunk:
        return depthwise_convolution(u, taps, before)
    whole = q - q % layer.chunk
    chunks = depthwise_convolution(u[:, :whole].reshape(-1, layer.chunk, i), taps, before).reshape(b, whole, i)
    return chunks if whole == q else np.concatenate([chunks, depthwise_convolution(u[:, whole:], taps, before)], axis=1)


def _normalise(layer: Any, w: Weights, u: Array) -> Array:
    if layer.norm == "batchnorm":
        return (u - w.mean) * (w.norm / np.sqrt(w.variance + EPS)) + w.norm_b
    if layer.norm == "layernorm":
        return layernorm(u, EPS, w.norm, w.norm_b)
    return rmsnorm(u, layer.eps, w.norm) if layer.norm == "rmsnorm" else u

"""Perceiver attention [jaegle2021b] from learned vectors to the stream, or from the stream to itself."""

from __future__ import annotations

import math
from typing import Any

from ....core.errors import UnsupportedError
from ....twins.functions import layernorm
from ....twins.heads import dot_products, join, mix, output, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, vector

EPS = 1e-5  # epsilon of the norms
INPUT_FIELDS = frozenset({"n_keys"})  # number of input vectors


def weights(layer: Any) -> list[Weight]:
    """Return one or two input norms and the projections with biases."""
    d, source, h = layer.d_model, layer.d_source, layer.n_heads
    e, v = layer.d_qk // h, layer.d_v // h
    sides = [("norm", d), *([] if layer.reads_itself else [("source_norm", source)])]
    found = [part for name, width in sides for part in (vector(name, width, mean=1.0), vector(f"{name}_b", width))]
    found += [*projections("q", d, h, e), *projections("k", source, h, e), *projections("v", source, h, v)]
    return [*found, *output(layer.d_out, h, v)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(q kᵀ / sqrt(e)) v · wo``, and add the learned array if ``query_residual`` is set."""
    step.must_be_whole(layer.kind())
    array = x if layer.reads_itself else _next_array(layer, step)
    a = layernorm(array, EPS, w.norm, w.norm_b)
    z = a if layer.reads_itself else layernorm(x, EPS, w.source_norm, w.source_norm_b)
    q, k, v = project(w, "q", a), project(w, "k", z), project(w, "v", z)
    y = join(w, mix(dot_products(q, k) / math.sqrt(layer.d_qk // layer.n_heads), v))
    return y + array if layer.query_residual else y


def _next_array(layer: Any, step: Step) -> Array:
    """Remove and return the next learned array [b n d]."""
    if not step.latent_arrays or step.latent_arrays[0].shape[1:] != (layer.n_queries, layer.d_model):
        text = f"missing array of {layer.n_queries} learned vectors of width {layer.d_model}"
        raise UnsupportedError(text, where=layer.kind())
    return step.latent_arrays.pop(0)

"""Attention between the channels of each channel group [ding2022, Section 3.3]."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from ....twins.functions import softmax, times
from ....twins.heads import join, output, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Return each channel group's query, key and value projections, and the output projection."""
    sizes = (layer.d_model, layer.n_groups, layer.d_model // layer.n_groups)
    return [*projections("qkv", *sizes, bias="qkv" if layer.bias else ""), *output(*sizes)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(qᵀ k / sqrt(n)) vᵀ · wo`` for ``x`` [b q d], with channel scores summed over n tokens."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    scores = times(einsum("bqge,bqgv->bgev", q, k), x.shape[1] ** -0.5)
    return join(w, einsum("bgev,bqgv->bqge", softmax(scores), v))

"""Prefix tuning [li2021]. Learned keys and values precede the keys and values of the tokens."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from ....twins.functions import gelu
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return the table and two matrices that produce the keys and values of all layers."""
    both = 2 * layer.n_layers * layer.d_model
    found = [table("table", layer.length, layer.d_model), matrix("w1", layer.d_model, layer.d_ff)]
    return [*found, vector("b1", layer.d_ff), matrix("w2", layer.d_ff, both), vector("b2", both)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Append the keys and values of all attention layers to ``step.prefix``, and return ``x`` unchanged."""
    made = einsum("pf,fk->pk", gelu(einsum("pd,df->pf", w.table, w.w1) + w.b1), w.w2) + w.b2
    halves = made.reshape(layer.length, layer.n_layers, 2, layer.d_model)
    step.prefix.append([(halves[:, number, 0], halves[:, number, 1]) for number in range(layer.n_layers)])
    return x

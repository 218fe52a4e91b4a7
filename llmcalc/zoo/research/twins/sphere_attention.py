"""Attention on the unit sphere (nGPT) [loshchilov2024] with learned query and gate scales."""

from __future__ import annotations

from typing import Any

from ....twins import attention, gate
from ....twins.functions import times
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, vector


def weights(layer: Any) -> list[Weight]:
    """Return the attention weights, the query channel scales, and the gate scales."""
    found = [*attention.weights(layer), vector("q_scale", layer.n_heads, layer.d_head, mean=1.0)]
    return found + ([vector("gate_scale", *gate.shape(layer), mean=1.0)] if layer.gate else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``l2norm(softmax(q kᵀ · scale) v · gate) wo`` with scaled queries."""
    x = attention.prepare_input(layer, x, step)
    scores, v, q = attention.attention_scores(layer, w, x, step, state, _squared(w.q_scale, layer.q_gain))
    mixed = attention.mix(layer, w, scores, v, q, step).reshape(*x.shape[:2], layer.n_heads, v.shape[3])
    gates = _squared(w.gate_scale, layer.gate_gain) if layer.gate else None
    return attention.project_output(layer, w, x, mixed, gates, unit=True)


def _squared(scale: Array, gain: float) -> Array:
    scale = times(scale, gain)
    return scale * scale

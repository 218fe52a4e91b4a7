"""Experts that are full: who comes first is taken, and who comes later passes by."""

from __future__ import annotations

from typing import Any

import numpy as np

from .weights import Array

FULL = -1  # in place of an expert


def within_capacity(layer: Any, chosen: Array, scores: Array) -> Array:
    """The chosen experts [b q j] of those tokens that they still take."""
    if layer.batch_capacity:
        return _of_a_batch(layer, chosen, scores)
    capacity = layer.capacity
    if capacity is None and layer.capacity_factor is not None:
        capacity = int(np.ceil(layer.capacity_factor * chosen.shape[1] * layer.top_k / layer.n_experts))
    if capacity is None:
        return chosen
    return np.where(_places(chosen, layer.n_experts) < capacity, chosen, FULL)


def _places(chosen: Array, experts: int) -> Array:
    """How many tokens of a sequence come before each one at its expert [b q j] [fedus2021, Section 2.2]."""
    sent = chosen[..., None] == np.arange(experts)  # [b q j x]
    before = np.cumsum(sent.reshape(chosen.shape[0], -1, experts), axis=1).reshape(sent.shape) - 1
    return np.max(before * sent, axis=-1)


def _of_a_batch(layer: Any, chosen: Array, scores: Array) -> Array:
    """An expert takes tokens of the whole batch: all for which it is the first choice, then those of the second."""
    b, q, choices = chosen.shape
    flat, tokens = chosen.reshape(b * q, choices), b * q
    order = np.arange(tokens)
    if layer.priority_by_score:
        order = np.argsort(-np.max(np.asarray(scores).reshape(tokens, -1), axis=-1), kind="stable")
    in_turn = flat[order].T.reshape(1, -1, 1)  # first choices of all tokens, then second ones
    places = np.empty_like(flat)
    places[order] = _places(in_turn, layer.n_experts).reshape(choices, tokens).T
    return np.where(places < _capacity(layer, tokens), flat, FULL).reshape(chosen.shape)


def _capacity(layer: Any, tokens: int) -> int:
    """Tokens that an expert takes: a number, or a share of all."""
    return int(layer.capacity if layer.capacity_share is None else np.ceil(layer.capacity_share * tokens))

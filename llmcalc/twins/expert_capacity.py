"""Capacity of the experts of a mixture [fedus2021, Section 2.2]."""

from __future__ import annotations

from typing import Any

import numpy as np

from .weights import Array

FULL = -1  # placeholder for an expert that is full


def within_capacity(capacity: Any, chosen: Array, scores: Array, n_experts: int) -> Array:
    """Return the selected experts [b q j], replacing experts at capacity with ``FULL``."""
    if not capacity:
        return chosen
    if capacity.batch:
        return _within_batch_capacity(capacity, chosen, scores, n_experts)
    tokens = capacity.tokens
    if tokens is None and capacity.factor is not None:
        tokens = int(np.ceil(capacity.factor * chosen.shape[1] * chosen.shape[2] / n_experts))
    return chosen if tokens is None else np.where(_queue_positions(chosen, n_experts) < tokens, chosen, FULL)


def _queue_positions(chosen: Array, experts: int) -> Array:
    """Return each token's positions [b q j] in the queues of its selected experts."""
    sent = chosen[..., None] == np.arange(experts)  # [b q j x]
    before = np.cumsum(sent.reshape(chosen.shape[0], -1, experts), axis=1).reshape(sent.shape) - 1
    return np.max(before * sent, axis=-1)


def _within_batch_capacity(capacity: Any, chosen: Array, scores: Array, n_experts: int) -> Array:
    """Apply an expert capacity over the full batch, serving all first choices before second choices."""
    b, q, choices = chosen.shape
    flat, tokens = chosen.reshape(b * q, choices), b * q
    order = np.arange(tokens)
    if capacity.by_score:
        order = np.argsort(-np.max(np.asarray(scores).reshape(tokens, -1), axis=-1), kind="stable")
    in_order = flat[order].T.reshape(1, -1, 1)  # first choices of all tokens, then second choices
    places = np.empty_like(flat)
    places[order] = _queue_positions(in_order, n_experts).reshape(choices, tokens).T
    most = capacity.tokens if capacity.share is None else np.ceil(capacity.share * tokens)
    return np.where(places < int(most), flat, FULL).reshape(chosen.shape)

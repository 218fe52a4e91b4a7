"""Routing of tokens to the experts of a mixture: scores, selection and weights [shazeer2017]."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import InputError
from .expert_capacity import within_capacity
from .functions import (
    divide_by_sum,
    gelu,
    largest,
    operation,
    plus,
    rmsnorm,
    sigmoid,
    softcap,
    softmax,
    sqrt_softplus,
    times,
)
from .step import Step
from .weights import Array, Weight, Weights, matrix, table, vector

SCORES: dict[str, Callable[[Array], Array]] = {"softmax": softmax, "sigmoid": sigmoid, "sqrt_softplus": sqrt_softplus}


def weights(layer: Any) -> list[Weight]:
    """Return the weights of the router: its network, scores, offsets and scales."""
    d, x, routing, network = layer.d_model, layer.n_experts, layer.routing, layer.router_network
    scored = x + layer.n_zero_experts + layer.n_null_experts
    n_shared = layer.scored_shared.n if layer.scored_shared else 0
    found = [vector("input_scale", d, mean=1.0), vector("expert_scale", x, mean=1.0)] if routing.scaled else []
    if network:
        found += [matrix("router_in", d, network.width), vector("router_in_b", network.width)]
        found += [vector("router_scale", network.width, mean=1.0)] if network.residual else []
        found += [vector("router_norm", network.width, mean=1.0)]
        for name in ("router_1", "router_2"):
            found += [matrix(name, network.width, network.width), vector(f"{name}_b", network.width)]
    found += [matrix("router", network.width if network else d, scored + n_shared)]
    found += [vector("factor", 1, mean=1.0)] if routing.learned_scale else []
    found += [vector("router_b", scored)] if routing.bias else []
    if routing.correction != "none":
        correction = vector("correction", x if n_shared else scored)
        found.append(correction._replace(buffer=routing.correction == "buffer"))
    if routing.hash_rows:
        found.append(table("hash", routing.hash_rows, layer.top_k, buffer=True)._replace(below=x))
    return found


def route(layer: Any, w: Weights, x: Array, step: Step | None = None) -> tuple[Array, Array]:
    """Return each token's experts and their weights [b q j], using -1 for experts at capacity."""
    chosen, share = route_with_shared(layer, w, x, step)
    return chosen, share[:, :, : chosen.shape[2]]


def route_with_shared(layer: Any, w: Weights, x: Array, step: Step | None = None) -> tuple[Array, Array]:
    """Return each token's experts [b q j] and expert weights, with the weights of routed shared experts last.

    Hash routing and the residual of a router network require ``step``.
    """
    routing = layer.routing
    logits = _logits(layer, w, x, step)
    if routing.mixer_tolerance is not None:
        return _sparse_mixer(layer, logits)
    scores = SCORES[routing.score](logits)
    chosen = _select(layer, w, scores, step)
    b, q = chosen.shape[:2]
    share = scores[np.arange(b)[:, None, None], np.arange(q)[:, None], chosen]
    taken = within_capacity(layer.expert_capacity, chosen, scores, layer.n_experts)
    if routing.renormalise_late:  # full experts do not count
        share = share * (taken >= 0)
    if layer.scored_shared:
        share = np.concatenate([share, scores[:, :, layer.n_experts :]], axis=2)
    if routing.renormalise:
        share = divide_by_sum(share, routing.renormalise_eps, routing.renormalise_power)
    if routing.scaled:
        share = _scale_weights(share, w.expert_scale, chosen)
    if layer.n_null_experts:  # null experts: the first expert with weight 0
        null = chosen >= layer.n_experts
        share, taken = np.where(null, 0.0, share), np.where(null, 0, taken)
    share = share * routing.scale
    return taken, share * w.factor if routing.learned_scale else share


def _logits(layer: Any, w: Weights, x: Array, step: Step | None) -> Array:
    """Return the router's logits [b q x]."""
    routing = layer.routing
    if routing.scaled:
        x = rmsnorm(x, routing.eps, w.input_scale) / math.sqrt(layer.d_model)
    if layer.router_network:
        x = _network(layer, w, x, step)
    logits = times(einsum("bqd,dx->bqx", x, w.router), routing.gain)
    logits = logits if routing.bias_unused else plus(logits, w.get("router_b"))
    return softcap(logits, routing.softcap) if routing.softcap else logits


def _select(layer: Any, w: Weights, scores: Array, step: Step | None) -> Array:
    """Return each token's experts [b q j]: those with the highest scores, or those of a table."""
    if layer.routing.hash_rows:
        if step is None:
            raise InputError("hash routing requires token IDs", where="moe")
        return np.asarray(w.hash[step.ids]).astype(int)
    routed = scores[:, :, : layer.n_experts] if layer.scored_shared else scores
    ranked = np.asarray(plus(routed, w.get("correction")))  # the selection has no gradient, only the weights
    if layer.expert_groups:
        ranked = _mask_groups(layer.expert_groups, ranked)
    return np.argsort(-ranked, axis=-1, kind="stable")[..., : layer.top_k]


def _sparse_mixer(layer: Any, logits: Array) -> tuple[Array, Array]:
    """Select experts with SparseMixer [liu2023], weighted by a softmax over remaining experts with similar logits."""
    left, chosen, portions = logits, [], []
    for _ in range(layer.top_k):
        plain = np.asarray(left)  # the selection has no gradient
        best = np.max(plain, axis=-1, keepdims=True)
        far = (best - plain) / np.maximum(np.abs(np.asarray(logits)), best) > 2 * layer.routing.mixer_tolerance
        first = np.argmax(plain, axis=-1)
        one = np.arange(layer.n_experts) == first[..., None]
        portions.append(np.sum(softmax(np.where(far, -np.inf, left)) * one, axis=-1))
        chosen.append(first)
        left = np.where(one, -np.inf, left)
    return np.stack(chosen, axis=-1), np.stack(portions, axis=-1) * layer.routing.scale


def _network(layer: Any, w: Weights, x: Array, step: Step | None) -> Array:
    """Return the router network's output [b q f], adding the previous router's hidden state (ZAYA)."""
    h = einsum("bqd,df->bqf", x, w.router_in) + w.router_in_b
    if layer.router_network.residual and step is not None and step.router_before is not None:
        h = h + step.router_before * w.router_scale
    if step is not None:
        step.router_before = h
    h = rmsnorm(h, layer.routing.eps, w.router_norm)
    for matrix_of, bias in ((w.router_1, w.router_1_b), (w.router_2, w.router_2_b)):
        h = gelu(einsum("bqf,fo->bqo", h, matrix_of) + bias)
    return h


@operation
def _scale_weights(share: Array, scale: Array, chosen: Array) -> Array:
    """Multiply the weights of the selected experts by a learned scale per expert."""
    return share * scale[chosen]


def _mask_groups(layout: Any, ranked: Array) -> Array:
    """Set the scores of experts outside the highest-scoring groups to -inf."""
    groups = ranked.reshape(*ranked.shape[:2], layout.n, -1)
    counted = 2 if layout.score == "two" else 1
    score = np.sort(groups, axis=-1)[..., -counted:].sum(axis=-1)
    return np.where(largest(score, layout.top)[..., None], groups, -np.inf).reshape(ranked.shape)

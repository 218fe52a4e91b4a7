"""Mixture of experts [shazeer2017; fedus2021; jiang2024; dai2024] with a few selected experts per token."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from . import latent, mlp, routing, shared_experts
from .functions import plus, rmsnorm
from .routing import route as route
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the router, expert and shared-expert weights, and optional projections and norms."""
    d, f, x = layer.d_model, layer.d_ff, layer.n_experts
    width = layer.latent.width if layer.latent else d
    names = ["wg", "wu"] if layer.gated else ["wu"]
    found = routing.weights(layer)
    found += [matrix(name, width, f, experts=x + layer.n_zero_experts) for name in names]
    found += [matrix("wd", f, width, experts=x)]
    if layer.expert_bias:
        sizes = {**{f"b{name[1]}": f for name in names}, "bd": width}
        found += [Weight(name, ((x,), (size,)), per_expert=True) for name, size in sizes.items()]
    found += latent.weights(layer.latent, d)
    found += [vector("norm_out", width)] if layer.result_norm else []
    found += [vector("bo", d)] if layer.out_bias else []
    return found + shared_experts.weights(layer)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = Σ p_i expert_i(x[b q d])`` over the selected experts, plus the shared experts."""
    chosen, share = routing.route_with_shared(layer, w, step.unnormed if layer.routing.scaled else x, step)
    own, of_shared = share[:, :, : chosen.shape[2]], share[:, :, chosen.shape[2] :]  # [b q j] and [b q m]
    inner = latent.project_in(layer.latent, w, x)
    if layer.scaled_input:
        y = np.sum(_experts(layer, w, inner, chosen, own), axis=2)
    else:
        y = np.sum(_experts(layer, w, inner, chosen) * own[..., None], axis=2)
    y = plus(latent.project_out(layer.latent, w, y), w.get("bo"))
    return shared_experts.add(layer, w, y, x, of_shared, step)


def is_stepwise(layer: Any) -> bool:
    """Return whether stepwise decoding selects the same experts as a single pass. A batch capacity prevents this."""
    capacity = layer.expert_capacity
    return not (capacity and capacity.batch and (capacity.share or 0) < 1)


def _experts(layer: Any, w: Weights, x: Array, chosen: Array, share: Array | None = None) -> Array:
    """Return each token's expert outputs [b q j d], optionally scaling the expert inputs by ``share``."""
    b, q, j = chosen.shape
    tokens, slots = x.reshape(b * q, -1), chosen.reshape(-1)
    places, results = [np.flatnonzero(slots < 0)], [np.zeros((int((slots < 0).sum()), x.shape[-1]))]
    for expert in np.unique(slots[slots >= 0]):
        mine = np.flatnonzero(slots == expert)
        places.append(mine)
        taken = tokens[mine // j] if share is None else tokens[mine // j] * share.reshape(-1)[mine, None]
        identity = expert >= layer.n_experts  # a zero-computation expert returns its input [meituan2025]
        results.append(taken if identity else _expert(layer, w, taken, int(expert)))
    outputs = np.concatenate(results)[np.argsort(np.concatenate(places))].reshape(b, q, j, -1)
    return rmsnorm(outputs * (1.0 + w.norm_out), layer.result_norm_eps) if layer.result_norm else outputs


def _expert(layer: Any, w: Weights, x: Array, expert: int) -> Array:
    """Return one expert's output for its tokens [n d]."""
    bu, bg, bd = (None if bias is None else bias[expert] for bias in map(w.get, ("bu", "bg", "bd")))
    up = plus(einsum("nd,df->nf", x, w.wu[expert]), bu)
    gate = plus(einsum("nd,df->nf", x, w.wg[expert]), bg) if layer.gated else None
    return plus(einsum("nf,fd->nd", mlp.activate(layer.activation, layer.bounds, up, gate), w.wd[expert]), bd)

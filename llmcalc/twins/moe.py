"""Mixture of experts [shazeer2017; fedus2021; jiang2024; dai2024] with a few selected experts per token."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import InputError
from . import latent, mlp
from .expert_capacity import within_capacity
from .functions import divide_by_sum, gelu, operation, plus, rmsnorm, sigmoid, softcap, softmax, sqrt_softplus, times
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, table, under, vector

SCORES: dict[str, Callable[[Array], Array]] = {"softmax": softmax, "sigmoid": sigmoid, "sqrt_softplus": sqrt_softplus}


def _shared_layer(layer: Any) -> Any:
    """Return a single feed-forward layer that represents the shared experts."""
    return SimpleNamespace(
        d_model=layer.d_model,
        d_ff=layer.d_ff_shared,
        activation=layer.shared_activation or layer.activation,
        gated=layer.shared_gated,
        bias=layer.shared_bias,
        out_bias=layer.shared_bias,
        bounds=SimpleNamespace(
            clamp=layer.shared_clamp or (layer.clamp if layer.shared_clamped else None),
            **{name: getattr(layer, name) for name in ("clamp_late", "up_offset", "gate_softcap", "up_softcap")},
        ),
        **dict.fromkeys(("inner_norm", "sphere", "sparsity", "lora", "multipliers", "sequence")),
    )


def weights(layer: Any) -> list[Weight]:
    """Return the router, expert and shared-expert weights, and optional projections and norms."""
    d, f, x = layer.d_model, layer.d_ff, layer.n_experts
    width = layer.latent.width if layer.latent else d
    names = ["wg", "wu"] if layer.gated else ["wu"]
    found = [vector("input_scale", d, mean=1.0), vector("expert_scale", x, mean=1.0)] if layer.router_scaled else []
    held = x + layer.n_zero_experts
    scored = held + layer.n_null_experts
    if layer.d_router:
        d_router = layer.d_router
        found += [matrix("router_in", d, d_router), vector("router_in_b", d_router)]
        found += [vector("router_scale", d_router, mean=1.0)] if layer.router_residual else []
        found += [vector("router_norm", d_router, mean=1.0)]
        for name in ("router_1", "router_2"):
            found += [matrix(name, d_router, d_router), vector(f"{name}_b", d_router)]
    found += [matrix("router", layer.d_router or d, scored + (layer.n_shared or 0))]
    found += [vector("factor", 1, mean=1.0)] if layer.learned_gate_scale else []
    found += [vector("router_b", scored)] if layer.router_bias else []
    if layer.correction_bias != "none":
        correction = vector("correction", x if layer.n_shared else scored)
        found.append(correction._replace(buffer=layer.correction_bias == "buffer"))
    if layer.hash_rows:
        found.append(table("hash", layer.hash_rows, layer.top_k, buffer=True)._replace(below=x))
    found += [matrix(name, width, f, experts=held) for name in names] + [matrix("wd", f, width, experts=x)]
    if layer.expert_bias:
        sizes = {**{f"b{name[1]}": f for name in names}, "bd": width}
        found += [Weight(name, ((x,), (size,)), per_expert=True) for name, size in sizes.items()]
    found += latent.weights(layer.latent, d)
    found += [vector("norm_out", width)] if layer.result_norm else []
    found += [vector("bo", d)] if layer.out_bias else []
    found += under("shared", mlp.weights(_shared_layer(layer))) if layer.d_ff_shared else []
    if layer.n_shared:
        found += [matrix(f"shared_{name}", d, f, experts=layer.n_shared)._replace(per_expert=False) for name in names]
        found.append(matrix("shared_wd", f, d, experts=layer.n_shared)._replace(per_expert=False))
    return found + ([matrix("shared_gate", d, ())] if layer.shared_gate else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``Σ p_i expert_i(x)`` over the selected experts, plus the shared experts."""
    chosen, share = route_with_shared(layer, w, step.unnormed if layer.router_scaled else x, step)  # [b q j], [b q j m]
    inner = latent.project_in(layer.latent, w, x)
    if layer.scaled_input:
        y = np.sum(_experts(layer, w, inner, chosen, share), axis=2)
    else:
        y = np.sum(_experts(layer, w, inner, chosen) * share[:, :, : chosen.shape[2], None], axis=2)
    y = plus(latent.project_out(layer.latent, w, y), w.get("bo"))
    if layer.d_ff_shared:
        shared = mlp.forward(_shared_layer(layer), w.part("shared"), x, step, None)
        if layer.shared_gate:
            shared = shared * sigmoid(einsum("bqd,d->bq", x, w.shared_gate))[..., None]
        y = y + times(shared, layer.shared_scale)
    if not layer.n_shared:
        return y
    up = einsum("bqd,mdf->bqmf", x, w.shared_wu)
    gate = einsum("bqd,mdf->bqmf", x, w.shared_wg) if layer.gated else None
    hidden = mlp.activate(layer.activation, layer, up, gate) * share[:, :, chosen.shape[2] :, None]
    return y + np.sum(einsum("bqmf,mfd->bqmd", hidden, w.shared_wd), axis=2)


def is_stepwise(layer: Any) -> bool:
    """Return whether stepwise decoding selects the same experts as a single pass. A batch capacity prevents this."""
    capacity = layer.expert_capacity
    return not (capacity and capacity.batch and (capacity.share or 0) < 1)


def route(layer: Any, w: Weights, x: Array, step: Step | None = None) -> tuple[Array, Array]:
    """Return each token's experts and their weights [b q j], using -1 for experts at capacity."""
    chosen, share = route_with_shared(layer, w, x, step)
    return chosen, share[:, :, : chosen.shape[2]]


def route_with_shared(layer: Any, w: Weights, x: Array, step: Step | None = None) -> tuple[Array, Array]:
    """Return each token's experts [b q j] and expert weights, with the weights of routed shared experts last.

    Hash routing and ``router_residual`` require ``step``.
    """
    if layer.router_scaled:
        x = rmsnorm(x, layer.router_eps, w.input_scale) / math.sqrt(layer.d_model)
    if layer.d_router:
        x = _router_network(layer, w, x, step)
    logits = einsum("bqd,dx->bqx", x, w.router)
    logits = times(logits, layer.router_gain)
    if not layer.router_bias_unused:
        logits = plus(logits, w.get("router_b"))
    if layer.router_softcap:
        logits = softcap(logits, layer.router_softcap)
    if layer.mixer_tolerance is not None:
        return _sparse_mixer(layer, logits)
    scores = SCORES[layer.router](logits)
    routed = scores[:, :, : layer.n_experts] if layer.n_shared else scores
    ranked = np.asarray(plus(routed, w.get("correction")))  # the selection has no gradient, only the weights
    if layer.n_groups > 1:
        ranked = _mask_groups(layer, ranked)
    if layer.hash_rows:
        if step is None:
            raise InputError("hash routing requires token IDs", where="moe")
        chosen = np.asarray(w.hash[step.ids]).astype(int)
    else:
        chosen = np.argsort(-ranked, axis=-1, kind="stable")[..., : layer.top_k]
    b, q = chosen.shape[:2]
    share = scores[np.arange(b)[:, None, None], np.arange(q)[:, None], chosen]
    taken = within_capacity(layer.expert_capacity, chosen, scores, layer.n_experts)
    if layer.renormalise_late:  # full experts do not count
        share = share * (taken >= 0)
    if layer.n_shared:
        share = np.concatenate([share, scores[:, :, layer.n_experts :]], axis=2)
    if layer.renormalise:
        share = divide_by_sum(share, layer.renormalise_eps, layer.renormalise_power)
    if layer.router_scaled:
        share = _scale_weights(share, w.expert_scale, chosen)
    if layer.n_null_experts:  # null experts: the first expert with weight 0
        null = chosen >= layer.n_experts
        share, taken = np.where(null, 0.0, share), np.where(null, 0, taken)
    share = share * layer.routed_scale
    return taken, share * w.factor if layer.learned_gate_scale else share


def _sparse_mixer(layer: Any, logits: Array) -> tuple[Array, Array]:
    """Select experts with SparseMixer [liu2023], weighted by a softmax over remaining experts with similar logits."""
    left, chosen, portions = logits, [], []
    for _ in range(layer.top_k):
        plain = np.asarray(left)  # the selection has no gradient
        best = np.max(plain, axis=-1, keepdims=True)
        far = (best - plain) / np.maximum(np.abs(np.asarray(logits)), best) > 2 * layer.mixer_tolerance
        first = np.argmax(plain, axis=-1)
        one = np.arange(layer.n_experts) == first[..., None]
        portions.append(np.sum(softmax(np.where(far, -np.inf, left)) * one, axis=-1))
        chosen.append(first)
        left = np.where(one, -np.inf, left)
    return np.stack(chosen, axis=-1), np.stack(portions, axis=-1) * layer.routed_scale


def _router_network(layer: Any, w: Weights, x: Array, step: Step | None) -> Array:
    """Return the router network's output [b q f], adding the previous router's hidden state (ZAYA)."""
    h = einsum("bqd,df->bqf", x, w.router_in) + w.router_in_b
    if layer.router_residual and step is not None and step.router_before is not None:
        h = h + step.router_before * w.router_scale
    if step is not None:
        step.router_before = h
    h = rmsnorm(h, layer.router_eps, w.router_norm)
    for matrix_of, bias in ((w.router_1, w.router_1_b), (w.router_2, w.router_2_b)):
        h = gelu(einsum("bqf,fo->bqo", h, matrix_of) + bias)
    return h


@operation
def _scale_weights(share: Array, scale: Array, chosen: Array) -> Array:
    """Multiply the weights of the selected experts by a learned scale per expert."""
    return share * scale[chosen]


def _mask_groups(layer: Any, ranked: Array) -> Array:
    """Set the scores of experts outside the ``top_groups`` highest-scoring groups to -inf."""
    groups = ranked.reshape(*ranked.shape[:2], layer.n_groups, -1)
    counted = 2 if layer.group_score == "two" else 1
    score = np.sort(groups, axis=-1)[..., -counted:].sum(axis=-1)
    best = np.argsort(-score, axis=-1, kind="stable")[..., : layer.top_groups]
    inside = np.zeros(score.shape, bool)
    np.put_along_axis(inside, best, True, axis=-1)
    return np.where(inside[..., None], groups, -np.inf).reshape(ranked.shape)


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
    back = np.argsort(np.concatenate(places))
    outputs = np.concatenate(results)[back].reshape(b, q, j, -1)
    return rmsnorm(outputs * (1.0 + w.norm_out), layer.result_norm_eps) if layer.result_norm else outputs


def _expert(layer: Any, w: Weights, x: Array, expert: int) -> Array:
    """Return one expert's output for its tokens [n d]."""
    bu, bg, bd = (None if bias is None else bias[expert] for bias in map(w.get, ("bu", "bg", "bd")))
    up = plus(einsum("nd,df->nf", x, w.wu[expert]), bu)
    gate = plus(einsum("nd,df->nf", x, w.wg[expert]), bg) if layer.gated else None
    return plus(einsum("nf,fd->nd", mlp.activate(layer.activation, layer, up, gate), w.wd[expert]), bd)

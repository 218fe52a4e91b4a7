"""Disentangled attention [he2020, Section 3.1] with separate content scores and relative position scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .functions import layernorm
from .heads import distance_scores, dot_products, join, mix, output, project, projections
from .step import State, Step
from .weights import Array, Weight, Weights, table

TABLE, NORM, NORM_B = ".relative_table", ".relative_table_norm", ".relative_table_norm_b"  # shared by all layers


def weights(layer: Any) -> list[Weight]:
    """Return the content projections, the distance table and its norm, and any separate distance projections."""
    d, h = layer.d_model, layer.n_heads
    e = d // h
    found = [*projections("qkv", d, h, e, bias="qkv" if layer.k_bias else "qv"), *output(d, h, e)]
    if not layer.n_distances:
        return found
    found.append(table("table", layer.n_distances, d, share=TABLE))
    if layer.table_norm:
        found.append(table("table_norm", d, share=NORM)._replace(mean=1.0))
        found.append(table("table_norm_b", d, share=NORM_B))
    if not layer.shared_projections and layer.content_to_position:
        found += projections(["rk"], d, h, e, bias=["rk"] if layer.position_k_bias else [])
    if not layer.shared_projections and layer.position_to_content:
        found += projections(["rq"], d, h, e)
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d] = softmax((q kᵀ + q rkᵀ + k rqᵀ) · scale) v · wo`` for the tokens ``x[b q d]``, where ``rk``
    and ``rq`` are projected distances.
    """
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    scores = dot_products(q, k)
    if layer.n_distances:
        rows, row = _distances(layer, w, step)
        keys, queries = ("k", "q") if layer.shared_projections else ("rk", "rq")
        if layer.content_to_position:
            scores = scores + distance_scores(q, project(w, keys, rows)[0], row)
        if layer.position_to_content:
            scores = scores + np.transpose(distance_scores(k, project(w, queries, rows)[0], row.T), (0, 1, 3, 2))
    terms = 1 + layer.content_to_position + layer.position_to_content
    scale = 1 / math.sqrt(terms * q.shape[-1]) if layer.scale is None else float(layer.scale)
    return join(w, mix(scores * scale, v))


def _distances(layer: Any, w: Weights, step: Step) -> tuple[Array, Array]:
    """Return the required distance embeddings [1 r d], and the row index of each query-key pair [q k]."""
    rows, reach = w.table, layer.n_distances // 2
    if layer.table_norm:
        rows = layernorm(rows, layer.table_norm_eps, w.table_norm, w.table_norm_b)
    if layer.distances_grow:
        longest = min(reach, step.ids.shape[1])
        rows, reach = rows[reach - longest : reach + longest], longest
    ahead = step.positions[:, None] - step.positions
    if layer.max_distance:
        ahead = _bucket(ahead, reach, layer.max_distance)
    return rows[None], np.clip(ahead + reach, 0, 2 * reach - 1)


def _bucket(distance: Array, buckets: int, farthest: int) -> Array:
    """Map distances to buckets that are exact for short distances and logarithmic for long distances."""
    near = buckets // 2
    size = np.abs(distance)
    share = np.log(np.maximum(size, 1) / near) / math.log((farthest - 1) / near)
    shared = near + np.ceil(share * (near - 1))
    return np.where(size <= near, distance, np.sign(distance) * shared).astype(int)

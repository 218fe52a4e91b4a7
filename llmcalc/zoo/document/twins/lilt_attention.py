"""LiLT attention [wang2022, Section 3.1], in which a text stream and a layout stream share attention scores."""

from __future__ import annotations

import math
from typing import Any

from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import ACTIVATIONS, layernorm, softmax
from ....twins.heads import dot_products, join, output, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the projections of both streams, and the feed-forward layer and norms of the layout stream."""
    d, s, h = layer.d_model, layer.d_stream, layer.n_heads
    found = [*projections("qkv", d, h, d // h), *projections(("ql", "kl", "vl"), s, h, s // h), *output(d, h, d // h)]
    found += [matrix("wol", (h, s // h), s), vector("bol", s)]
    found += [matrix("wu", s, layer.d_ff), vector("bu", layer.d_ff), matrix("wd", layer.d_ff, s), vector("bd", s)]
    for name in ("norm", "mlp_norm"):
        found += [vector(name, s, mean=1.0), vector(f"{name}_b", s)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``softmax(s + s') v · wo`` with the scores of both streams, and update the layout stream."""
    step.must_be_whole(layer.kind())
    layout = step.saved_streams.get("layout")
    if layout is None or layout.shape[-1] != layer.d_stream:
        raise UnsupportedError(f"missing layout stream of width {layer.d_stream}", where=layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    ql, kl, vl = (project(w, name, layout) for name in ("ql", "kl", "vl"))
    scores = dot_products(q, k) / math.sqrt(q.shape[-1]) + dot_products(ql, kl) / math.sqrt(ql.shape[-1])
    p = softmax(scores)
    step.saved_streams["layout"] = _update_layout(layer, w, einsum("bhqk,bkhe->bqhe", p, vl), layout)
    return join(w, einsum("bhqk,bkhe->bqhe", p, v))


def _update_layout(layer: Any, w: Weights, mixed: Array, layout: Array) -> Array:
    """Update the layout stream after attention with residual connections, norms and a feed-forward layer."""
    layout = layout + einsum("bqhe,hed->bqd", mixed, w.wol) + w.bol
    layout = layernorm(layout, layer.eps, w.norm, w.norm_b)
    hidden = ACTIVATIONS[layer.activation](einsum("bqd,df->bqf", layout, w.wu) + w.bu)
    return layernorm(layout + einsum("bqf,fd->bqd", hidden, w.wd) + w.bd, layer.eps, w.mlp_norm, w.mlp_norm_b)

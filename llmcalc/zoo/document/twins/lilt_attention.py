"""LiLT's attention [wang2022, Section 3.1]: a text and the places of its tokens are two streams that share scores."""

from __future__ import annotations

import math
from typing import Any

from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import ACTIVATIONS, layernorm, softmax
from ....twins.heads import join, output, project, projections, scores
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Projections of both streams and back, and the second one's feed-forward layer and norms."""
    d, s, h = layer.d_model, layer.d_stream, layer.n_heads
    found = [*projections("qkv", d, h, d // h), *projections(("ql", "kl", "vl"), s, h, s // h), *output(d, h, d // h)]
    found += [matrix("wol", (h, s // h), s), vector("bol", s)]
    found += [matrix("wu", s, layer.d_ff), vector("bu", layer.d_ff), matrix("wd", layer.d_ff, s), vector("bd", s)]
    for name in ("norm", "mlp_norm"):
        found += [vector(name, s, mean=1.0), vector(f"{name}_b", s)]
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """What the heads of the text find by the scores of both streams; the second stream goes on by itself."""
    step.must_be_whole(layer.kind())
    beside = step.saved_streams.get("layout")
    if beside is None or beside.shape[-1] != layer.d_stream:
        raise UnsupportedError(f"there is no second stream of width {layer.d_stream}", where=layer.kind())
    (q, k, v), (ql, kl, vl) = ([project(w, name, of) for name in names] for names, of in _projected(x, beside))
    met = scores(q, k) / math.sqrt(q.shape[-1]) + scores(ql, kl) / math.sqrt(ql.shape[-1])
    p = softmax(met)
    step.saved_streams["layout"] = _gone_on(layer, w, einsum("bhqk,bkhe->bqhe", p, vl), beside)
    return join(w, einsum("bhqk,bkhe->bqhe", p, v))


def _projected(x: Array, beside: Array) -> tuple[tuple[tuple[str, ...], Array], ...]:
    return (("q", "k", "v"), x), (("ql", "kl", "vl"), beside)


def _gone_on(layer: Any, w: Weights, mixed: Array, beside: Array) -> Array:
    """The second stream behind what its heads found, and behind its feed-forward layer, each with a norm."""
    beside = beside + einsum("bqhe,hed->bqd", mixed, w.wol) + w.bol
    beside = layernorm(beside, layer.eps, w.norm, w.norm_b)
    hidden = ACTIVATIONS[layer.activation](einsum("bqd,df->bqf", beside, w.wu) + w.bu)
    return layernorm(beside + einsum("bqf,fd->bqd", hidden, w.wd) + w.bd, layer.eps, w.mlp_norm, w.mlp_norm_b)

"""Compressed attention [deepseek2026v4, Section 2.3] over recent tokens and summaries of all tokens.

For each token, all heads share one vector that serves as both key and value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ..core.record import NamedTuple
from .functions import operation, rmsnorm, softmax
from .rope import rotate_end
from .step import State, Step, distances, extended
from .weights import Array, Weight, Weights, constant, matrix, table, under, vector


class Summaries(NamedTuple):
    """Summaries of groups of ``rate`` tokens, used as attention keys or as smaller indexer keys."""

    d_model: int
    rate: int
    width: int
    overlap: bool

    def weights(self) -> list[Weight]:
        """Return the key and gate projections, a position bias for the gates, and a norm."""
        wide = 2 * self.width if self.overlap else self.width
        found = [matrix("wckv", self.d_model, wide), matrix("wcgate", self.d_model, wide)]
        return [*found, table("position_bias", self.rate, wide), vector("c_norm", self.width, mean=1.0)]


def weights(layer: Any) -> list[Weight]:
    """Return the low-rank query projection, shared key projection, sinks, grouped output projection and summaries."""
    d, heads, rank = layer.d_model, (layer.n_heads, layer.d_head), layer.q_lora_rank
    groups, low = layer.n_groups, layer.o_lora_rank
    found = [matrix("wqa", d, rank), vector("q_norm", rank, mean=1.0), matrix("wqb", rank, heads)]
    found += [matrix("wkv", d, layer.d_head), vector("kv_norm", layer.d_head, mean=1.0), vector("sinks", layer.n_heads)]
    found += [Weight("woa", ((groups,), (layer.n_heads * layer.d_head // groups,), (low,)), matrix=True)]
    found += [matrix("wob", (groups, low), d)]
    found += _summaries(layer).weights() if layer.rate else []
    if not (layer.rate and layer.index_heads):
        return found
    queries = matrix("wq", rank, (layer.index_heads, layer.index_dim))
    own = [queries, matrix("ww", d, layer.index_heads), *_index_summaries(layer).weights()]
    return found + under("indexer", own)


def _summaries(layer: Any) -> Summaries:
    return Summaries(layer.d_model, layer.rate, layer.d_head, layer.overlap)


def _index_summaries(layer: Any) -> Summaries:
    return Summaries(layer.d_model, layer.rate, layer.index_dim, overlap=True)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``softmax(q [kv, summaries]ᵀ) [kv, summaries]``, whose rotation is
    undone, and the output projection.
    """
    latent = rmsnorm(einsum("bqd,dr->bqr", x, w.wqa), layer.norm_eps, w.q_norm)
    q = rmsnorm(einsum("bqr,rhe->bqhe", latent, w.wqb), layer.norm_eps)
    q = _rotate(layer, q, step.positions)
    kv = _window(layer, w, x, step, state)
    distance = distances(step, kv.shape[1])
    hidden = (distance < 0) | (distance >= layer.window)
    scores = [np.where(hidden, -np.inf, einsum("bqhe,bke->bhqk", q, kv))]
    if layer.rate:
        far = compress(_summaries(layer), layer, w, x, step, state, "")
        chosen, unseen = _select_summaries(layer, w, x, latent, far, step, state)
        scores.append(np.where(unseen, -np.inf, _summary_scores(q, far, chosen)))
    # a joint softmax over tokens, summaries and a sink [b h q k]
    p = softmax(np.concatenate(scores, axis=-1) / math.sqrt(layer.d_head), w.sinks[:, None, None])
    o = einsum("bhqk,bke->bqhe", p[..., : kv.shape[1]], kv)
    if layer.rate:
        o = o + _mix_summaries(p[..., kv.shape[1] :], far, chosen)
    o = _rotate(layer, o, -step.positions)
    grouped = o.reshape(*x.shape[:2], layer.n_groups, -1)
    return einsum("bqgr,grd->bqd", einsum("bqgo,gor->bqgr", grouped, w.woa), w.wob)


def _rotate(layer: Any, x: Array, positions: Array) -> Array:
    """Apply rotary position embeddings to the last dimensions of each head of ``x`` [b q heads e]."""
    return rotate_end(layer.rope, x, positions, layer.rope.dim)


def _window(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Return the cached and new keys [b k e], and cache the keys that the next token can attend to."""
    kv = rmsnorm(einsum("bqd,de->bqe", x, w.wkv), layer.norm_eps, w.kv_norm)
    kv = _rotate(layer, kv[:, :, None], step.positions)[:, :, 0]
    (kv,) = extended(state, layer.window - 1, kv=kv)
    return kv


@operation
def _summary_scores(q: Array, far: Array, chosen: Array | None) -> Array:
    """Return scores [b h q s] of queries [b q h e] and all summaries [b s e], or the ``chosen`` summaries [b q s]."""
    return einsum("bqhe,bse->bhqs", q, far) if chosen is None else einsum("bqhe,bqse->bhqs", q, _gather(far, chosen))


@operation
def _mix_summaries(p: Array, far: Array, chosen: Array | None) -> Array:
    """Return the sum of the summaries weighted by the probabilities ``p`` [b h q s]."""
    return einsum("bhqs,bse->bqhe", p, far) if chosen is None else einsum("bhqs,bqse->bqhe", p, _gather(far, chosen))


def _gather(far: Array, chosen: Array) -> Array:
    """Return the summaries [b q s e] selected for each query. A fused kernel would not copy the summaries."""
    return far[np.arange(far.shape[0])[:, None, None], chosen]


def compress(part: Summaries, layer: Any, w: Weights, x: Array, step: Step, state: State | None, name: str) -> Array:
    """Return all complete summaries [b s e], and store the tokens of an incomplete group in the state."""
    kv, gate = einsum("bqd,dw->bqw", x, w.wckv), einsum("bqd,dw->bqw", x, w.wcgate)
    tokens = {f"{name}pending_kv": kv, f"{name}pending_gate": gate}
    kv, gate = extended(state, (step.cached + x.shape[1]) % part.rate, **tokens)
    whole, new = kv.shape[1] // part.rate * part.rate, kv[:, :0, : part.width]
    if whole:
        folded = (kv.shape[0], whole // part.rate, part.rate, kv.shape[2])
        new = _compress_groups(
            part, layer, w, kv[:, :whole].reshape(folded), gate[:, :whole].reshape(folded), state, name
        )
        places = (step.cached // part.rate + np.arange(folded[1])) * part.rate
        new = _rotate(layer, new[:, :, None], places)[:, :, 0]
    (known,) = extended(state, **{f"{name}ckv": new})
    return known


def _compress_groups(
    part: Summaries, layer: Any, w: Weights, kv: Array, gate: Array, state: State | None, name: str
) -> Array:
    """Return each group's gated sum of ``kv`` [b s R w], including the previous group's tokens if groups overlap."""
    gate = gate + w.position_bias
    if part.overlap:
        kv, gate = (
            _add_overlap(values, part, state, f"{name}before_{of}", fill)
            for values, of, fill in ((kv, "kv", 0.0), (gate, "gate", -np.inf))
        )
    shares = np.transpose(softmax(np.transpose(gate, (0, 1, 3, 2))), (0, 1, 3, 2))
    return rmsnorm(np.sum(kv * shares, axis=2), layer.norm_eps, w.c_norm)


def _add_overlap(values: Array, part: Summaries, state: State | None, name: str, fill: float) -> Array:
    """Join each group's tokens (second half of the channels) to the previous group's tokens (first half)."""
    former, own = values[..., : part.width], values[..., part.width :]
    before = state[name][:, None] if state and name in state else 0.0 * former[:, :1] + fill
    if state is not None:
        state[name] = former[:, -1]
    return np.concatenate([np.concatenate([before, former[:, :-1]], axis=1), own], axis=2)


def _select_summaries(
    layer: Any, w: Weights, x: Array, latent: Array, far: Array, step: Step, state: State | None
) -> tuple[Array | None, Array]:
    """Return the summary indices selected for each query (None for all summaries) and a mask of future summaries."""
    later = np.arange(far.shape[1]) >= (step.positions[:, None] + 1) // layer.rate  # [q s]
    if not layer.index_heads:
        return None, later
    own, x = w.part("indexer").constant(), constant(x)
    k = compress(_index_summaries(layer), layer, own, x, step, state, "index_")
    q = _rotate(layer, einsum("bqr,rie->bqie", constant(latent), own.wq), step.positions)
    scores = np.maximum(einsum("bqie,bse->bqis", q, k), 0.0)  # Σ_heads weight · relu(q k), for every summary [b q s]
    total = np.asarray(np.sum(scores * einsum("bqd,di->bqi", x, own.ww)[..., None], axis=2))
    ranked = np.argsort(np.where(later, np.inf, -total), axis=-1, kind="stable")
    chosen = ranked[..., : layer.index_topk]  # [b q s]
    unseen = np.take_along_axis(np.broadcast_to(later, total.shape), chosen, axis=-1)
    return chosen, unseen[:, None]

"""Cross-attention between bytes and their patches [pagnoni2024, Section 3.2].

The first byte is a separate patch, and each later patch has ``patch`` bytes. The vectors of a patch are
computed at its last byte. Bytes attend to the vectors of the last complete patch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import rmsnorm, softmax
from ....twins.heads import extend_cache, grouped_mix, grouped_scores, join, project
from ....twins.step import State, Step, patches_begun
from ....twins.weights import Array, Weight, Weights, constant, matrix, vector

INPUT_FIELDS = frozenset({"extra_patches"})  # specific to an implementation


def weights(layer: Any) -> list[Weight]:
    """Return the norms, the attention projections, and the patch projection shared by the stack."""
    d, h, g, e = layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head
    patch_projection = matrix("wp", d, (layer.n_vectors, d))._replace(share=".patch_projection")
    found = [patch_projection] if layer.asks == "patches" else []
    found += [vector("q_norm", d, mean=1.0), vector("k_norm", d, mean=1.0)]
    return [*found, matrix("wq", d, (h, e)), matrix("wk", d, (g, e)), matrix("wv", d, (g, e)), matrix("wo", (h, e), d)]


def bypasses_stream(layer: Any) -> bool:
    """Return whether the layer saves its output separately and leaves the stream unchanged."""
    return bool(layer.asks == "patches")


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``2 z + softmax(norm(z) wq (norm(u) wk)ᵀ / sqrt(e)) norm(u) wv · wo`` for queries z and sources u."""
    if layer.dropped:  # no later layer reads the output
        w, x = w.constant(), constant(x)
    if layer.asks == "tokens":
        return _token_queries(layer, w, x, step, state)
    step.vectors = _patch_queries(layer, w, x, step, state)
    return step.vectors


def _patch_queries(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Return the vectors [b p·n d] of the patches that end in this step."""
    first, last = (patches_begun(tokens, layer.patch) for tokens in (step.cached, step.cached + x.shape[1]))
    k, v = _keys_and_values(layer, w, x, state)
    key = np.arange(step.cached + x.shape[1] - k.shape[1], step.cached + x.shape[1])
    patch = -(-key // layer.patch)  # the patch of each byte
    pooled, rest = _max_per_patch(layer, x, step, first, last, state)
    if state is not None:
        _cache_last(state, int((patch >= last).sum()), k=k, v=v)
        _cache_last(state, rest.shape[1], m=rest)
    z = einsum("bpd,dno->bpno", pooled, w.wp).reshape(x.shape[0], -1, layer.d_model)
    query = first + np.arange(z.shape[1]) // layer.n_vectors
    return _attend(layer, w, z, k, v, query[:, None] != patch)


def _max_per_patch(layer: Any, x: Array, step: Step, first: int, last: int, state: State | None) -> tuple[Array, Array]:
    """Return the channel maxima [b p d] of complete patches and the maxima [b 0|1 d] of the remaining bytes."""
    before = state["m"] if state and "m" in state else x[:, :0]
    found, start = [x[:, :0]], 0
    for patch in range(first, last + 1):
        end = min(patch * layer.patch + 1 - step.cached, x.shape[1])
        part = x[:, start:end]
        if patch == first and before.shape[1]:
            part = np.concatenate([before, part], axis=1)
        found.append(np.max(part, axis=1, keepdims=True) if part.shape[1] else part)
        start = end
    return np.concatenate(found[:-1], axis=1), found[-1]


def _token_queries(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Return the output [b q d] of attention from bytes to the vectors of the last complete patch."""
    if step.source is None:
        raise UnsupportedError("missing patch vectors", where="patch_attention")
    k, v = _keys_and_values(layer, w, step.source, state)
    key = step.cached // layer.patch + np.arange(k.shape[1]) // layer.n_vectors
    if state is not None:
        is_open = (step.cached + x.shape[1]) % layer.patch > 0
        _cache_last(state, layer.n_vectors if is_open else 0, k=k, v=v)
    return _attend(layer, w, x, k, v, (step.positions // layer.patch)[:, None] != key)


def _keys_and_values(layer: Any, w: Weights, u: Array, state: State | None) -> tuple[Array, Array]:
    """Return the cached keys and values [b k g e], extended by the keys and values of ``u``."""
    n = rmsnorm(u, layer.norm_eps, w.k_norm)
    return extend_cache(project(w, "k", n), project(w, "v", n), state)


def _cache_last(state: State, count: int, **arrays: Array) -> None:
    """Cache the last ``count`` rows of each array."""
    for name, array in arrays.items():
        state.pop(name, None)
        if count:
            state[name] = array[:, array.shape[1] - count :]


def _attend(layer: Any, w: Weights, z: Array, k: Array, v: Array, hidden: Array) -> Array:
    """Apply attention within each patch, and add the queries twice to the output."""
    q = project(w, "q", rmsnorm(z, layer.norm_eps, w.q_norm))
    s = grouped_scores(q, k) * (1 / math.sqrt(q.shape[3]))
    p = softmax(np.where(hidden, -np.inf, s) if hidden.any() else s)
    return join(w, grouped_mix(p, v)) + 2.0 * z

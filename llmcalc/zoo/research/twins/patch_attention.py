"""Attention between bytes and the patches that they stand in [pagnoni2024, Section 3.2].

The first byte is a patch of its own; from then on each ``patch`` bytes are one. Its vectors are made when its last byte
is there, and are looked at by that byte and those behind it, up to the last byte of the next patch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import rmsnorm, softmax
from ....twins.patch_handover import patches_begun
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, constant, matrix, vector

INPUT_FIELDS = frozenset({"extra_patches"})  # an implementation's


def weights(layer: Any) -> list[Weight]:
    """Norms and projections of both sides; what makes vectors of a patch is one matrix for all layers of a stack."""
    d, h, g, e = layer.d_model, layer.n_heads, layer.n_kv_heads, layer.d_head
    made = matrix("wp", d, (layer.n_vectors, d))._replace(share=".patch_projection")
    found = [made] if layer.asks == "patches" else []
    found += [vector("q_norm", d, mean=1.0), vector("k_norm", d, mean=1.0)]
    return [*found, matrix("wq", d, (h, e)), matrix("wk", d, (g, e)), matrix("wv", d, (g, e)), matrix("wo", (h, e), d)]


def bypasses_stream(layer: Any) -> bool:
    """Whether the result is kept beside the stream, which goes on as it is."""
    return bool(layer.asks == "patches")


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``2 z + softmax(norm(z) wq (norm(u) wk)ᵀ / sqrt(e)) norm(u) wv · wo`` of vectors z that ask others, u."""
    if layer.dropped:  # nothing that follows reads it
        w, x = w.constant(), constant(x)
    if layer.asks == "tokens":
        return _of_tokens(layer, w, x, step, state)
    step.vectors = _of_patches(layer, w, x, step, state)
    return step.vectors


def _of_patches(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """The vectors of the patches that end in this step [b p·n d], made of their bytes."""
    first, last = (patches_begun(tokens, layer.patch) for tokens in (step.cached, step.cached + x.shape[1]))
    k, v = _keys_and_values(layer, w, x, state)
    key = np.arange(step.cached + x.shape[1] - k.shape[1], step.cached + x.shape[1])
    patch = -(-key // layer.patch)  # that each byte stands in
    pooled, rest = _largest(layer, x, step, first, last, state)
    if state is not None:
        _keep(state, int((patch >= last).sum()), k=k, v=v)
        _keep(state, rest.shape[1], m=rest)
    z = einsum("bpd,dno->bpno", pooled, w.wp).reshape(x.shape[0], -1, layer.d_model)
    asking = first + np.arange(z.shape[1]) // layer.n_vectors
    return _attended(layer, w, z, k, v, asking[:, None] != patch)


def _largest(layer: Any, x: Array, step: Step, first: int, last: int, state: State | None) -> tuple[Array, Array]:
    """The largest value of each channel over each patch that ends [b p d], and over the bytes behind it [b 0|1 d]."""
    before = state["m"] if state and "m" in state else x[:, :0]
    found, begin = [x[:, :0]], 0
    for patch in range(first, last + 1):
        end = min(patch * layer.patch + 1 - step.cached, x.shape[1])
        bytes_ = x[:, begin:end]
        if patch == first and before.shape[1]:
            bytes_ = np.concatenate([before, bytes_], axis=1)
        found.append(np.max(bytes_, axis=1, keepdims=True) if bytes_.shape[1] else bytes_)
        begin = end
    return np.concatenate(found[:-1], axis=1), found[-1]


def _of_tokens(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Bytes [b q d] that ask the vectors of the last patch that has ended."""
    if step.source is None:
        raise UnsupportedError("there are no patches whose vectors could be looked at", where="patch_attention")
    k, v = _keys_and_values(layer, w, step.source, state)
    key = step.cached // layer.patch + np.arange(k.shape[1]) // layer.n_vectors
    if state is not None:
        goes_on = (step.cached + x.shape[1]) % layer.patch > 0
        _keep(state, layer.n_vectors if goes_on else 0, k=k, v=v)
    return _attended(layer, w, x, k, v, (step.positions // layer.patch)[:, None] != key)


def _keys_and_values(layer: Any, w: Weights, u: Array, state: State | None) -> tuple[Array, Array]:
    """Those of what is still waiting, and those of ``u`` [b k g e]."""
    n = rmsnorm(u, layer.norm_eps, w.k_norm)
    k, v = (einsum("bkd,dge->bkge", n, weight) for weight in (w.wk, w.wv))
    if not state or "k" not in state:
        return k, v
    return np.concatenate([state["k"], k], axis=1), np.concatenate([state["v"], v], axis=1)


def _keep(state: State, count: int, **arrays: Array) -> None:
    """Keep the last few rows of some arrays, or nothing."""
    for name, array in arrays.items():
        state.pop(name, None)
        if count:
            state[name] = array[:, array.shape[1] - count :]


def _attended(layer: Any, w: Weights, z: Array, k: Array, v: Array, hidden: Array) -> Array:
    """Each vector and what stands in its own patch; it is added twice."""
    q = einsum("bqd,dhe->bqhe", rmsnorm(z, layer.norm_eps, w.q_norm), w.wq)
    b, n, h, e = q.shape
    grouped = q.reshape(b, n, layer.n_kv_heads, h // layer.n_kv_heads, e)
    s = einsum("bqgre,bkge->bgrqk", grouped, k) * (1 / math.sqrt(e))
    p = softmax(np.where(hidden, -np.inf, s) if hidden.any() else s)
    mixed = einsum("bgrqk,bkge->bqgre", p, v).reshape(b, n, h, e)
    return einsum("bqhe,hed->bqd", mixed, w.wo) + 2.0 * z

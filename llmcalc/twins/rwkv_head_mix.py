"""RWKV-5 and RWKV-6 time mixing [peng2024] with matrix states. RWKV-6 adds data-dependent mixes and decay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .functions import layernorm, operation, silu
from .rwkv_time_mix import previous_tokens, toward
from .step import State, Step, recalled, store
from .weights import Array, Weight, Weights, matrix, vector

EPS = 1e-5  # epsilon of the norm per head


def weights(layer: Any) -> list[Weight]:
    """Return projections, mixing vectors, a decay and a bonus per key channel, and a norm per head."""
    d, heads, names = layer.d_model, (layer.n_heads, layer.d_model // layer.n_heads), _names(layer)
    found = [vector(f"mix_{name}", d) for name in names] + [matrix(f"w{name}", d, heads) for name in "rkvg"]
    if layer.mix_rank:
        found += [vector("mix_x", d), matrix("mix_in", d, (len(names), layer.mix_rank))]
        found += [matrix("mix_out", layer.mix_rank, d, experts=len(names))._replace(per_expert=False)]
    if layer.decay_rank:
        found += [matrix("decay_in", d, layer.decay_rank), matrix("decay_out", layer.decay_rank, heads)]
    found += [matrix("wo", heads, d), vector("decay", *heads), vector("first", *heads)]
    return [*found, vector("norm", *heads, mean=1.0), vector("norm_b", *heads)]


def _names(layer: Any) -> str:
    """Return the initials of the mixes (receptance, key, value, gate), and ``w`` if the decay depends on the data."""
    return "rkvgw" if layer.mix_rank and layer.decay_rank else "rkvg"


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``S = diag(w) S + k vᵀ``, and
    ``y = (silu(g) · norm(r (S + diag(u) k vᵀ))) wo`` with the state before.
    """
    mixes = _mixes(layer, w, x, previous_tokens(x, state))
    r, k, v, g = (einsum("bqd,dhe->bqhe", mixes[name], getattr(w, f"w{name}")) for name in "rkvg")
    fading: Array = w.decay
    if layer.decay_rank:
        source: Array = mixes.get("w", x)
        narrow = np.tanh(einsum("bqd,dr->bqr", source, w.decay_in))
        fading = fading + einsum("bqr,rhe->bqhe", narrow, w.decay_out)
    before = recalled(state, "S", *k.shape[:1], *k.shape[2:], v.shape[-1])
    o, after = _recurrence(r, k, v, np.exp(fading), w.first, before)
    store(state, S=after)
    o = layernorm(o, EPS, w.norm, w.norm_b)
    return einsum("bqhv,hvd->bqd", o * silu(g), w.wo)


def _mixes(layer: Any, w: Weights, x: Array, before: Array) -> dict[str, Array]:
    """Interpolate between each token and the previous token, separately for each projection."""
    names = _names(layer)
    shares = {name: 1.0 - getattr(w, f"mix_{name}") for name in names}
    if layer.mix_rank:  # RWKV-6: data-dependent shares of the previous token
        narrow = np.tanh(einsum("bqd,dnr->bqnr", toward(x, before, w.mix_x), w.mix_in))
        corrections = einsum("bqnr,nrd->bqnd", narrow, w.mix_out)
        shares = {name: getattr(w, f"mix_{name}") + corrections[:, :, n] for n, name in enumerate(names)}
    return {name: toward(x, before, share) for name, share in shares.items()}


@operation
def _recurrence(r: Array, k: Array, v: Array, fading: Array, first: Array, S: Array) -> tuple[Array, Array]:
    """Compute the outputs and the final state token by token, with a bonus for the current token."""
    decay = np.exp(-fading) + np.zeros(k.shape)
    outputs = []
    for t in range(k.shape[1]):
        new = k[:, t, :, :, None] * v[:, t, :, None, :]
        outputs.append(np.sum(r[:, t, :, :, None] * (S + first[..., None] * new), axis=2))
        S = decay[:, t, :, :, None] * S + new
    return np.stack(outputs, axis=1), S

"""RWKV-5 and -6 time mixing [peng2024]: a matrix of state a head; in version 6 the token sets mixes and decay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .functions import layernorm, silu
from .rwkv_time_mix import shifted
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector

EPS = 1e-5  # of the norm on each head


def weights(layer: Any) -> list[Weight]:
    """Five projections, what each of them mixes, a decay and a bonus for each key channel, a norm for each head."""
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
    """What is made of a mix: receptance, key, value, gate, and the decay if it depends on the token."""
    return "rkvgw" if layer.mix_rank and layer.decay_rank else "rkvg"


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``S = diag(w) S + k vᵀ; y = (silu(g) · norm(r (S + diag(u) k vᵀ))) wo``."""
    mixes = _mixes(layer, w, x, shifted(x, state))
    r, k, v, g = (einsum("bqd,dhe->bqhe", mixes[name], getattr(w, f"w{name}")) for name in "rkvg")
    decay = _decay(layer, w, mixes.get("w", x)) + np.zeros(k.shape)
    o = layernorm(_recurrence(w, r, k, v, decay, state), EPS, w.norm, w.norm_b)
    return einsum("bqhv,hvd->bqd", o * silu(g), w.wo)


def _mixes(layer: Any, w: Weights, x: Array, before: Array) -> dict[str, Array]:
    """Between this token and the one before, for each projection its own share."""
    names, change = _names(layer), before - x
    shares = {name: 1.0 - getattr(w, f"mix_{name}") for name in names}
    if layer.mix_rank:  # version 6: the token corrects the shares, and they count from the other end
        narrow = np.tanh(einsum("bqd,dnr->bqnr", x + change * w.mix_x, w.mix_in))
        corrections = einsum("bqnr,nrd->bqnd", narrow, w.mix_out)
        shares = {name: getattr(w, f"mix_{name}") + corrections[:, :, n] for n, name in enumerate(names)}
    return {name: x + change * share for name, share in shares.items()}


def _decay(layer: Any, w: Weights, x: Array) -> Array:
    """By how much each key channel fades at a token, or at every token alike."""
    fading = w.decay
    if layer.decay_rank:
        narrow = np.tanh(einsum("bqd,dr->bqr", x, w.decay_in))
        fading = fading + einsum("bqr,rhe->bqhe", narrow, w.decay_out)
    return np.exp(-np.exp(fading))


def _recurrence(w: Weights, r: Array, k: Array, v: Array, decay: Array, state: State | None) -> Array:
    """Token after token: what the receptance reads of the state, the newest token with a bonus."""
    b, q, heads, width = k.shape
    S: Array = state["S"] if state and "S" in state else np.zeros((b, heads, width, v.shape[-1]))
    outputs = []
    for t in range(q):
        new = k[:, t, :, :, None] * v[:, t, :, None, :]
        outputs.append(np.sum(r[:, t, :, :, None] * (S + w.first[..., None] * new), axis=2))
        S = decay[:, t, :, :, None] * S + new
    if state is not None:
        state["S"] = S
    return np.stack(outputs, axis=1)

"""Shared experts of a mixture [dai2024], which process every token."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy import einsum

from . import mlp
from .functions import sigmoid, times
from .step import Step
from .weights import Array, Weight, Weights, matrix, under


def _feed_forward(layer: Any) -> Any:
    """Return the feed-forward layer that the shared experts of a mixture form."""
    shared, bounds = layer.shared, layer.bounds
    options = {name: getattr(bounds, name, None) for name in ("clamp_late", "up_offset", "gate_softcap", "up_softcap")}
    clamp = shared.clamp or (bounds.clamp if bounds and shared.clamped else None)
    return SimpleNamespace(
        d_model=layer.d_model,
        d_ff=shared.d_ff,
        activation=shared.activation or layer.activation,
        gated=shared.gated,
        bias=shared.bias,
        out_bias=shared.bias,
        bounds=SimpleNamespace(clamp=clamp, **options),
        **dict.fromkeys(("inner_norm", "sphere", "sparsity", "lora", "multipliers", "sequence")),
    )


def weights(layer: Any) -> list[Weight]:
    """Return the weights of the shared experts, and of their gate."""
    found = under("shared", mlp.weights(_feed_forward(layer))) if layer.shared and layer.shared.d_ff else []
    if layer.scored_shared:
        d, f, n = layer.d_model, layer.d_ff, layer.scored_shared.n
        sizes = {
            **{f"shared_{name}": (d, f) for name in (("wg", "wu") if layer.gated else ("wu",))},
            "shared_wd": (f, d),
        }
        found += [matrix(name, *size, experts=n)._replace(per_expert=False) for name, size in sizes.items()]
    return found + ([matrix("shared_gate", layer.d_model, ())] if layer.shared and layer.shared.gate else [])


def add(layer: Any, w: Weights, y: Array, x: Array, share: Array, step: Step) -> Array:
    """Add the outputs of the shared experts to ``y`` [b q d]. ``share`` [b q m] weights scored shared experts."""
    if layer.shared and layer.shared.d_ff:
        shared = mlp.forward(_feed_forward(layer), w.part("shared"), x, step, None)
        if layer.shared.gate:
            shared = shared * sigmoid(einsum("bqd,d->bq", x, w.shared_gate))[..., None]
        y = y + times(shared, layer.shared.scale)
    if layer.scored_shared:
        up = einsum("bqd,mdf->bqmf", x, w.shared_wu)
        gate = einsum("bqd,mdf->bqmf", x, w.shared_wg) if layer.gated else None
        hidden = mlp.activate(layer.activation, layer.bounds, up, gate) * share[..., None]
        y = y + np.sum(einsum("bqmf,mfd->bqmd", hidden, w.shared_wd), axis=2)
    return y

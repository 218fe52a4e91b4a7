"""Normalisation of queries and keys, either per head or over all heads."""

from __future__ import annotations

from typing import Any

from . import functions
from .weights import Array, Weight, Weights, table, vector


def weights(layer: Any) -> list[Weight]:
    """Return the weights of the norms of queries and of projected keys."""
    norm, h, g, e = layer.qk_norm, layer.n_heads, layer.n_kv_heads, layer.d_head
    if not norm:
        return []
    sizes = {"q": (e,) if norm.over == "head" else (h, e), "k": (e,) if norm.over == "head" else (g, e)}
    named = {name: size for name, size in sizes.items() if name == "q" or not (layer.kv and layer.kv.reused)}
    made_of = table if norm.over == "per_head" else vector
    found = [made_of(f"{name}_norm", *size) for name, size in named.items()] if norm.scale else []
    return found + ([made_of(f"{name}_norm_b", *size) for name, size in named.items()] if norm.bias else [])


def normalise(norm: Any, w: Weights, name: str, x: Array) -> Array:
    """Normalise ``x`` [b q heads e], which is ``q`` or ``k``."""
    if not norm:
        return x
    scale, bias = w.get(f"{name}_norm"), w.get(f"{name}_norm_b")
    if scale is not None and norm.unit_offset:
        scale = 1.0 + scale
    flat = x
    if norm.over == "projection":
        flat = x.reshape(*x.shape[:2], -1)
        scale, bias = (part if part is None else part.reshape(-1) for part in (scale, bias))
    return functions.normalise(norm.function, flat, norm.eps, scale, bias).reshape(x.shape)

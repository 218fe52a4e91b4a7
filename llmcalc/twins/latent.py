"""Latent space in which the routed experts of a mixture run."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from .functions import plus, rmsnorm
from .weights import Array, Weight, Weights, matrix, vector


def weights(latent: Any, d_model: int) -> list[Weight]:
    """Return the projections to and from the latent space, with their biases and norms."""
    if not latent:
        return []
    found = [matrix("w_in", d_model, latent.width), matrix("w_out", latent.width, d_model)]
    found += [vector("b_in", latent.width), vector("b_out", d_model)] if latent.bias else []
    found += [vector("latent_norm", latent.width, mean=1.0)] if latent.norm else []
    return found + ([vector("norm_in", latent.width)] if latent.in_norm else [])


def project_in(latent: Any, w: Weights, x: Array) -> Array:
    """Return the experts' input [b q l] for a layer input [b q d]."""
    if not latent:
        return x
    inner = plus(einsum("bqd,dl->bql", x, w.w_in), w.get("b_in"))
    return rmsnorm(inner, latent.eps, 1.0 + w.norm_in) if latent.in_norm else inner


def project_out(latent: Any, w: Weights, y: Array) -> Array:
    """Return the layer output [b q d] for the sum of the experts [b q l]."""
    if not latent:
        return y
    y = rmsnorm(y, latent.eps, w.latent_norm) if latent.norm else y
    return plus(einsum("bql,ld->bqd", y, w.w_out), w.get("b_out"))

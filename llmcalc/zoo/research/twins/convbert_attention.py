"""ConvBERT's mixed attention [jiang2020, Section 4] with attention heads and span-based convolution heads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import einsum

from ....twins.convolution import convolve_heads, dynamic_convolution
from ....twins.functions import softmax
from ....twins.heads import dot_products, mix, project, projections
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, kernel, matrix, vector


def weights(layer: Any) -> list[Weight]:
    """Return the input projections, the separable convolution, the kernel projection, and the output projection."""
    d, h, taps = layer.d_model, layer.n_heads, layer.d_conv
    e = d // (2 * h)
    found = [*projections(("q", "k", "v", "span", "c"), d, h, e), kernel("span", d, taps)]
    found += [matrix("wf", h * e, (h, taps)), vector("bf", h, taps)]
    return [*found, matrix("wo", (2, h, e), d), vector("bo", d)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``[attention, convolution] wo``. Each kernel depends on the query and the surrounding span."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    attention = mix(dot_products(q, k) / math.sqrt(q.shape[-1]), v)
    convolution = dynamic_convolution(project(w, "c", x), _kernels(w, x, q))
    return einsum("bqzhe,zhed->bqd", np.stack([attention, convolution], axis=2), w.wo) + w.bo


def _kernels(w: Weights, x: Array, q: Array) -> Array:
    """Return the convolution kernels [b q h k], one per token and head."""
    span = convolve_heads(x[..., None], w.span)[..., 0]  # every channel is a head of width 1
    inner = (project(w, "span", span) * q).reshape(*q.shape[:2], -1)
    return softmax(einsum("bqi,igk->bqgk", inner, w.wf) + w.bf)

"""Feed-forward layer [vaswani2017, Section 3.3], optionally gated [shazeer2020]."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import ACTIVATIONS, l2norm, normalise, operation, plus, sigmoid, softcap, softplus, times
from .step import State, Step
from .weights import Array, Weight, Weights, adapters, matrix, vector

INPUT_FIELDS = frozenset({"merge", "merge_extra", "merge_whole", "globals_dropped", "prompt", "n_positions"})
INPUT_FIELDS |= {"padding", "multiple", "above"}
LEARNED, SLOPE_AT_0, JUST_BELOW_0 = "xielu", 0.5, -1e-6  # an activation with learned parameters
BOUNDED = "situ"  # an activation with a bound


def weights(layer: Any) -> list[Weight]:
    """Return up- and down-projections, and a gate projection if the layer is gated."""
    _check_activation(layer.activation, LEARNED)
    d, f = layer.d_model, layer.d_ff
    found = [*([matrix("wg", d, f)] if layer.gated else []), matrix("wu", d, f), matrix("wd", f, d)]
    if layer.bias:
        found += [*([vector("bg", f)] if layer.gated else []), vector("bu", f)]
    found += [vector("bd", d)] if layer.out_bias else []
    if layer.lora:
        rank, places = layer.lora.rank, layer.lora.n
        found += [adapters("w_a", d, rank, places)]
        found += [adapters(f"w{name}_b", rank, f, places) for name in ("gu" if layer.gated else "u")]
    if layer.sphere:
        found += [vector(name, f, mean=1.0) for name in (("scale_g", "scale_u") if layer.gated else ("scale_u",))]
    found += [vector("alpha_p", 1), vector("alpha_n", 1)] if layer.activation == LEARNED else []
    found += [vector("factor", 1, mean=1.0)] if layer.multipliers and layer.multipliers.learned else []
    normed = [vector("norm", f, mean=1.0)] if layer.inner_norm else []
    return found + normed + ([vector("norm_b", f)] if normed and layer.inner_norm.function == "layernorm" else [])


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q d]`` from ``x[b q d]``: ``act(x wu) wd``, or ``(act(x wg) · (x wu)) wd`` if the
    layer is gated.
    """
    sequence, multipliers = layer.sequence, layer.multipliers
    step.must_have_copies(sequence.streams if sequence else 1, "mlp")
    step.must_be_latents(sequence.n_latents if sequence else None, x, "mlp")
    up = plus(einsum("bqd,df->bqf", x, w.wu), w.get("bu"))
    gate = plus(einsum("bqd,df->bqf", x, w.wg), w.get("bg")) if layer.gated else None
    if layer.lora:  # a LoRA adapter for each use of a shared layer [glorioso2024b]
        narrow = einsum("bqd,da->bqa", x, w.w_a[step.use_index])
        up = up + einsum("bqa,af->bqf", narrow, w.wu_b[step.use_index])
        gate = None if gate is None else gate + einsum("bqa,af->bqf", narrow, w.wg_b[step.use_index])
    if layer.sphere:
        up = up * times(w.scale_u, layer.sphere.gain)
        gate = None if gate is None else gate * times(w.scale_g, layer.sphere.gain)
    if gate is not None:
        gate = times(gate, multipliers.gate if multipliers else 1.0)
        gate = _sparsify(gate, layer.sparsity) if layer.sparsity else gate
    hidden = (
        xielu(up, w.alpha_p, w.alpha_n)
        if layer.activation == LEARNED
        else activate(layer.activation, layer.bounds, up, gate)
    )
    if layer.sphere:
        hidden = l2norm(hidden)
    if layer.inner_norm:
        hidden = normalise(layer.inner_norm.function, hidden, layer.inner_norm.eps, w.norm, w.get("norm_b"))
    y = times(plus(einsum("bqf,fd->bqd", hidden, w.wd), w.get("bd")), multipliers.output if multipliers else 1.0)
    return y * w.factor if multipliers and multipliers.learned else y


def runs_on_side_tokens(layer: Any) -> bool:
    """Return whether the layer also processes the side tokens."""
    return bool(layer.sequence and layer.sequence.n_global)


@operation
def xielu(x: Array, alpha_p: Array, alpha_n: Array) -> Array:
    """Compute the xIELU activation [huang2024], with separate learned factors for positive and negative inputs."""
    above = softplus(alpha_p) * x * x
    below = (np.exp(np.minimum(x, JUST_BELOW_0)) - 1.0 - x) * (SLOPE_AT_0 + softplus(alpha_n))
    return np.where(np.asarray(x) > 0, above, below) + SLOPE_AT_0 * x


def activate(activation: str, bounds: Any, up: Array, gate: Array | None) -> Array:
    """Compute the hidden activations from the up-projection and the optional gate. ``bounds`` may be None."""
    _check_activation(activation)
    bound = bounds.gate_softcap if bounds else None
    if gate is None:
        return _activate(activation, up, bound)
    clamp = bounds.clamp if bounds else None
    if clamp:
        gate = gate if bounds.clamp_late else np.minimum(gate, clamp)
        up = np.clip(up, -clamp, clamp)
    if bounds and bounds.up_softcap:
        up = softcap(up, bounds.up_softcap)
    gate = _activate(activation, gate, bound)
    gate = np.minimum(gate, clamp) if clamp and bounds.clamp_late else gate
    return gate * (up + bounds.up_offset if bounds and bounds.up_offset else up)


def _activate(activation: str, x: Array, bound: float | None) -> Array:
    return situ(x, bound) if activation == BOUNDED else ACTIVATIONS[activation](x)


def _check_activation(activation: str, *more: str) -> None:
    if activation not in (*ACTIVATIONS, BOUNDED, *more):
        raise UnsupportedError(f"the NumPy model does not implement the activation {activation}", where="mlp")


@operation
def situ(x: Array, bound: float) -> Array:
    """Compute a SiLU whose linear factor is soft-capped [moonshot2026k3]."""
    return bound * np.tanh(x / bound) * sigmoid(x)


@operation
def _sparsify(gate: Array, share: float) -> Array:
    """Compute ``max(gate - cutoff, 0)`` with a cutoff at the normal quantile of ``share`` (Gemma 3n)."""
    mean = np.mean(gate, axis=-1, keepdims=True)
    spread = np.sqrt(np.mean((gate - mean) ** 2, axis=-1, keepdims=True))
    return np.maximum(gate - (mean + spread * NormalDist().inv_cdf(share)), 0.0)

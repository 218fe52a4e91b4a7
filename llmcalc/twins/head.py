"""The language-model head."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from .functions import plus, softcap, times
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, table, vector

INPUT_FIELDS = frozenset({"n_positions"})

LOWEST = float(np.finfo(float).min)


def weights(layer: Any) -> list[Weight]:
    """Return the output embedding table, which is often tied to the input table, and all biases, used or unused."""
    many = (layer.codebooks,) if layer.codebooks else ()
    found = [table("w", *many, layer.vocab, layer.d_model, share=layer.share)]
    found += [matrix("rest", layer.d_rest, layer.vocab)] if layer.d_rest else []
    found += [vector("b", layer.vocab)] if layer.bias else []
    found += [vector("scale", layer.vocab, mean=1.0)] if layer.logit_scale else []
    found += [vector("buffer_b", layer.vocab)._replace(buffer=True)] if layer.buffer_bias else []
    return found + [vector(f"unused_b{number}", layer.vocab) for number in range(layer.unused_biases)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute the logits ``y[b q V]`` of ``x[b q d]``.

    If the stream holds several token copies, only the second copy is used. Its logits predict the next token.
    """
    if step.copies > 1:
        x = x[:, x.shape[1] // step.copies :]
    if layer.input_scale != 1.0:
        x = x * layer.input_scale
    if layer.codebooks:  # codebooks of a sequence are consecutive rows
        each = einsum("bqd,nvd->bnqv", x, w.w)
        return each.reshape(-1, *each.shape[2:])
    rows = np.concatenate([w.w, np.transpose(w.rest, (1, 0))], axis=1) if layer.d_rest else w.w
    logits = plus(plus(einsum("bqd,vd->bqv", x, rows), w.get("b")), w.get("buffer_b"))
    logits = logits * times(w.scale, layer.logit_scale.gain) if layer.logit_scale else logits
    logits = softcap(logits, layer.softcap) if layer.softcap else logits
    if layer.masked:
        entry = np.arange(layer.vocab) - layer.masked.first
        logits = np.where((entry >= 0) & (entry < layer.masked.n), LOWEST, logits)
    streams = layer.sequence.streams if layer.sequence else 1
    return logits[:, : logits.shape[1] // streams] if step.copies > 1 else logits

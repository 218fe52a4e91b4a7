"""Which tokens a span begins and ends with, as a question asks for it [ram2021, Section 3.2]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .functions import gelu, layernorm
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector

ENDS = ("start", "end")


def weights(layer: Any) -> list[Weight]:
    """For each end of a span two matrices with norms, and one between them."""
    d, found = layer.d_in, []
    for end in ENDS:
        for name in (f"{end}_question", end):
            found += [matrix(name, d, d), vector(f"{name}_b", d)]
            found += [vector(f"{name}_norm", d, mean=1.0), vector(f"{name}_norm_b", d)]
        found.append(matrix(f"{end}_match", d, d))
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """How well each token [b q 2] fits as the first one of a span, and as the last one."""
    asks = step.ids == layer.question_id
    if asks.sum(axis=1).max() > 1:
        raise UnsupportedError("a text has one question", where="span_selection")
    question = x[np.arange(len(asks)), asks.argmax(axis=1)][:, None]
    scores = []
    for end in ENDS:
        asked = einsum("bai,io->bo", _transformed(layer, w, f"{end}_question", question), getattr(w, f"{end}_match"))
        scores.append(einsum("bo,bqo->bq", asked, _transformed(layer, w, end, x)))
    return np.stack(scores, axis=-1)


def _transformed(layer: Any, w: Weights, name: str, x: Array) -> Array:
    made = einsum("bqd,do->bqo", x, getattr(w, name)) + getattr(w, f"{name}_b")
    return layernorm(gelu(made), layer.eps, getattr(w, f"{name}_norm"), getattr(w, f"{name}_norm_b"))

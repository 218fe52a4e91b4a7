"""Which tokens a span begins and ends with, as a question asks for it [ram2021, Section 3.2]."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ....core.errors import UnsupportedError
from ....twins.functions import gelu, layernorm
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights, matrix, vector

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
    question = x[np.arange(len(asks)), asks.argmax(axis=1)]
    scores = []
    for end in ENDS:
        asked = _behind(layer, w, f"{end}_question", einsum("bd,do->bo", question, getattr(w, f"{end}_question")))
        fits = _behind(layer, w, end, einsum("bqd,do->bqo", x, getattr(w, end)))
        scores.append(einsum("bo,bqo->bq", einsum("bi,io->bo", asked, getattr(w, f"{end}_match")), fits))
    return np.stack(scores, axis=-1)


def _behind(layer: Any, w: Weights, name: str, x: Array) -> Array:
    """What stands behind a matrix: bias, activation and norm."""
    return layernorm(
        gelu(x + getattr(w, f"{name}_b")), layer.eps, getattr(w, f"{name}_norm"), getattr(w, f"{name}_norm_b")
    )

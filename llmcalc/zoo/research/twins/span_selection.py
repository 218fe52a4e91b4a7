"""Selection of an answer span for a question token [ram2021, Section 3.2]."""

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
    """Return the weights of two normalised projections and one bilinear matrix for each end of the span."""
    d, found = layer.d_in, []
    for end in ENDS:
        for name in (f"{end}_question", end):
            found += [matrix(name, d, d), vector(f"{name}_b", d)]
            found += [vector(f"{name}_norm", d, mean=1.0), vector(f"{name}_norm_b", d)]
        found.append(matrix(f"{end}_match", d, d))
    return found


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Return the scores [b q 2] of each token as the start and as the end of the span."""
    is_question = step.ids == layer.question_id
    if is_question.sum(axis=1).max() > 1:
        raise UnsupportedError("a sequence must have at most one question", where="span_selection")
    question = x[np.arange(len(is_question)), is_question.argmax(axis=1)]
    scores = []
    for end in ENDS:
        f = _activate(layer, w, f"{end}_question", einsum("bd,do->bo", question, getattr(w, f"{end}_question")))
        g = _activate(layer, w, end, einsum("bqd,do->bqo", x, getattr(w, end)))
        scores.append(einsum("bo,bqo->bq", einsum("bi,io->bo", f, getattr(w, f"{end}_match")), g))
    return np.stack(scores, axis=-1)


def _activate(layer: Any, w: Weights, name: str, x: Array) -> Array:
    """Apply the bias, activation and norm that follow a matrix."""
    y = gelu(x + getattr(w, f"{name}_b"))
    return layernorm(y, layer.eps, getattr(w, f"{name}_norm"), getattr(w, f"{name}_norm_b"))

"""CANINE's attention [clark2021, Section 3.2]: of characters within chunks, and of what groups of them have become."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ....twins.heads import join, mix, output, project, projections, scores
from ....twins.step import State, Step
from ....twins.weights import Array, Weight, Weights


def weights(layer: Any) -> list[Weight]:
    """Projections and back, all with biases."""
    d, h = layer.d_model, layer.n_heads
    return [*projections("qkv", d, h, d // h), *output(d, h, d // h)]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Every position with those of its chunk, or with all; there are fewer of them where tokens were ``merge``d."""
    step.must_be_whole(layer.kind())
    q, k, v = (project(w, name, x) for name in "qkv")
    length = layer.chunk if layer.chunk and layer.merge == 1 else x.shape[1]
    found = []
    for first in range(0, x.shape[1], length):
        part = slice(first, first + length)
        met = scores(q[:, part], k[:, part]) / math.sqrt(q.shape[-1])
        found.append(mix(met, v[:, part]))
    return join(w, np.concatenate(found, axis=1))

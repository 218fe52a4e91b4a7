"""A dense projection: poolers, head transforms, narrow embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .convolution import around
from .functions import ACTIVATIONS, operation, plus
from .grid import entered
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector

LEAST = 1e-5  # of a stream's mean square


def weights(layer: Any) -> list[Weight]:
    """A matrix, and a bias if the layer has one."""
    return [matrix("w", layer.d_in, layer.d_out), *([vector("b", layer.d_out)] if layer.bias else [])]


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``act(x w + b)``; a pooler sees one token alone."""
    if step.grid is None and (layer.merge > 1 or layer.prompt):
        raise UnsupportedError("positions that become one are those of patches on a grid", where="linear")
    if layer.upsample > 1:
        raise UnsupportedError("it runs on more positions than the stack has tokens", where="linear")
    x = entered(layer, x, layer.d_in, step)
    step.must_be_latents(getattr(layer, "n_latents", None), x, "linear")
    if layer.neighbours > 1:
        step.must_be_whole(layer.kind())
        x = np.transpose(around(x, layer.neighbours)[..., ::-1], (0, 1, 3, 2)).reshape(*x.shape[:2], -1)
    if layer.stream is not None:
        return _with_stream(layer, w, x, step)
    if x.shape[-1] != layer.d_in:
        raise UnsupportedError(f"a projection of width {layer.d_in} reads something else than the stream before it")
    if layer.positions == "one":
        x = _pooled(layer, x, step)
    return _projected(layer, w, x)


def _pooled(layer: Any, x: Array, step: Step) -> Array:
    """The one token of each text [b 1 d] that stands for all of it."""
    if layer.pooled == "first":
        return x[:, :1]
    if layer.pooled == "last":
        return x[:, -1:]
    marks = step.ids if layer.pooled == "highest" else step.ids == layer.pooled_id
    return x[np.arange(len(marks))[:, None], np.argmax(marks, axis=1)[:, None]]


@operation
def rescaled(y: Array, like: Array) -> Array:
    """``y`` brought to the magnitude of another vector [b q d]."""
    magnitude = np.sqrt(np.mean(like * like, axis=-1, keepdims=True))
    return y * magnitude / np.sqrt(np.maximum(np.mean(y * y, axis=-1, keepdims=True), LEAST))


def _projected(layer: Any, w: Weights, x: Array) -> Array:
    return ACTIVATIONS[layer.activation](plus(einsum("bqi,io->bqo", x, w.w), w.get("b")))


def _with_stream(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Streams [b q s d] with one more, made of the first one, or with one of them projected (AltUp)."""
    streams = x if len(x.shape) == 4 else x[:, :, None]
    if layer.restores_stream != (layer.stream < streams.shape[2]):
        raise UnsupportedError(f"there are {streams.shape[2]} residual streams, numbered from 0", where="linear")
    first = step.kept.setdefault(f"first stream, back: {layer.restores_stream}", streams[:, :, 0])
    y = rescaled(_projected(layer, w, streams[:, :, layer.stream] if layer.restores_stream else first), first)
    return np.concatenate([streams[:, :, : layer.stream], y[:, :, None], streams[:, :, layer.stream + 1 :]], axis=2)

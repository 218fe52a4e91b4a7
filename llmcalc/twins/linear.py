"""A linear layer, as in poolers, head transforms, factorised embeddings and projectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import einsum

from ..core.errors import UnsupportedError
from .convolution import centred_windows
from .functions import ACTIVATIONS, operation, plus
from .grid import merge_patches
from .step import State, Step
from .weights import Array, Weight, Weights, matrix, vector

LEAST = 1e-5  # lower bound of a stream's mean square


def weights(layer: Any) -> list[Weight]:
    """Return a weight matrix, or one per group of channels, and an optional bias."""
    return projection(layer.d_in, layer.d_out, layer.groups, layer.bias)


def projection(d_in: int, d_out: int, groups: int | None, bias: bool = True) -> list[Weight]:
    """Return the weights of a projection, which has one matrix per group of channels if ``groups`` is set."""
    if not groups:
        return [matrix("w", d_in, d_out), *([vector("b", d_out)] if bias else [])]
    matrices = Weight("w", ((groups,), (d_in // groups,), (d_out // groups,)), matrix=True)
    return [matrices, *([vector("b", groups, d_out // groups)] if bias else [])]


def project(w: Weights, x: Array) -> Array:
    """Compute ``x w + b`` for ``x`` [b q d], or ``x_g w_g + b_g`` for each group g of channels."""
    if len(w.w.shape) == 2:
        return plus(einsum("bqi,io->bqo", x, w.w), w.get("b"))
    grouped = x.reshape(*x.shape[:2], w.w.shape[0], -1)
    return plus(einsum("bqgi,gio->bqgo", grouped, w.w), w.get("b")).reshape(*x.shape[:2], -1)


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """Compute ``y[b q o] = act(x[b q i] w[i o] + b)`` for all tokens, or for one token per sequence."""
    sequence, pooler = layer.sequence, layer.pooler
    if step.grid is None and (layer.merge > 1 or (sequence and sequence.prompt)):
        raise UnsupportedError("merge and prompt require a patch grid", where="linear")
    if layer.upsample > 1:
        raise UnsupportedError("the NumPy model does not support upsample", where="linear")
    x = merge_patches(layer, x, layer.d_in, step)
    step.must_be_latents(sequence.n_latents if sequence else None, x, "linear")
    if sequence and sequence.neighbours > 1:
        step.must_be_whole(layer.kind())
        x = np.transpose(centred_windows(x, sequence.neighbours)[..., ::-1], (0, 1, 3, 2)).reshape(*x.shape[:2], -1)
    if layer.residual_stream:
        return _run_streams(layer, w, x, step)
    if x.shape[-1] != layer.d_in:
        raise UnsupportedError(f"d_in is {layer.d_in}, but the input has width {x.shape[-1]}")
    if layer.positions == "one" and (not pooler or pooler.position in ("first", "last")):
        x = x[:, -1:] if pooler and pooler.position == "last" else x[:, :1]
    elif layer.positions == "one":
        marks = step.ids if pooler.position == "highest" else step.ids == pooler.id
        x = x[np.arange(len(marks))[:, None], np.argmax(marks, axis=1)[:, None]]
    return _project(layer, w, x)


@operation
def rescale(y: Array, like: Array) -> Array:
    """Rescale ``y`` [b q d] to the root mean square of ``like``."""
    magnitude = np.sqrt(np.mean(like * like, axis=-1, keepdims=True))
    return y * magnitude / np.sqrt(np.maximum(np.mean(y * y, axis=-1, keepdims=True), LEAST))


def _project(layer: Any, w: Weights, x: Array) -> Array:
    return ACTIVATIONS[layer.activation](project(w, x))


def _run_streams(layer: Any, w: Weights, x: Array, step: Step) -> Array:
    """Append a projection of the first stream to the streams [b q s d], or project one stream in place (AltUp)."""
    streams = x if len(x.shape) == 4 else x[:, :, None]
    index, restores = layer.residual_stream.index, layer.residual_stream.restores
    if restores != (index < streams.shape[2]):
        text = f"the stream is {index}, but there are {streams.shape[2]} residual streams"
        raise UnsupportedError(text, where="linear")
    first = step.saved_streams.setdefault(f"first stream, restored: {restores}", streams[:, :, 0])
    y = rescale(_project(layer, w, streams[:, :, index] if restores else first), first)
    return np.concatenate([streams[:, :, :index], y[:, :, None], streams[:, :, index + 1 :]], axis=2)

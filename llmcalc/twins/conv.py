"""A dense convolution along the tokens, in groups of channels that do not mix: the front end of an audio encoder."""

from __future__ import annotations

from typing import Any

from numpy import einsum

from ..core.errors import UnsupportedError
from .convolution import around
from .functions import ACTIVATIONS, operation, plus, sigmoid
from .step import State, Step
from .weights import Array, Sizes, Weight, Weights, table, vector

AS_GIVEN = frozenset({"of_data"})


def weights(layer: Any) -> list[Weight]:
    """The taps from every channel of a group to every other, and a bias if the layer has one."""
    taps = table("w", layer.d_out, layer.d_in // layer.groups, layer.taps)
    return [taps, *([vector("b", layer.d_out)] if layer.bias else [])]


def data(layer: Any, tokens: int) -> Sizes:
    """What so many tokens of a stack are made of: frames of so many channels."""
    return tokens * layer.rate * layer.stride, layer.d_in


def forward(layer: Any, w: Weights, x: Array, step: Step, state: State | None) -> Array:
    """``act(Σ_τ x_{t·stride+τ} w_τ + b)``, as many rows before t as behind it, zeros beyond the text; half of it gates
    the other half, if the layer has gates.
    """
    step.must_be_whole(layer.kind())
    rows = step.ids.shape[1] * layer.rate
    if x.shape[1] != rows * layer.stride:
        raise UnsupportedError(f"{x.shape[1]} rows in, where {rows} come out", where="conv")
    y = ACTIVATIONS[layer.activation](plus(_convolved(x, w.w, layer.stride, layer.groups), w.get("b")))
    if not layer.gated:
        return y
    half = layer.d_out // 2
    return y[..., :half] * sigmoid(y[..., half:])


@operation
def _convolved(x: Array, taps: Array, stride: int, groups: int) -> Array:
    """``x`` [b q i] under ``taps`` [o i/groups k]."""
    windows = around(x, taps.shape[-1])[:, ::stride]
    b, rows, _, width = windows.shape
    apart = windows.reshape(b, rows, groups, -1, width)
    return einsum("bqgik,goik->bqgo", apart, taps.reshape(groups, -1, *taps.shape[1:])).reshape(b, rows, -1)

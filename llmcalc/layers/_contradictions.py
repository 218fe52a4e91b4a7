"""Fields of attention that exclude each other, or that go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .attention import Attention


def contradictions(layer: Attention) -> Iterator[str]:
    """What is wrong with the fields, one sentence each."""
    own_values = not (layer.cross or layer.values_are_keys or layer.kv_reused)
    if (layer.n_buckets is None) == (layer.positions == "relative"):
        yield "n_buckets goes with positions: relative, and only with it"
    if layer.values_are_keys and (layer.v_bias or layer.d_head_v != layer.d_head):
        yield "values_are_keys leaves no v_bias and no d_head_v of its own"
    if layer.streams > 1 and not layer.cross:
        yield "only cross-attention has streams"
    if layer.d_input_v and not own_values:
        yield "d_input_v goes with a projection of values of its own"
    if layer.values_of and not layer.d_input_v:
        yield "values_of goes with d_input_v, the width of what they are made of"
    if layer.v_rope and (layer.cross or layer.kv_reused or layer.positions != "rope"):
        yield "v_rope goes with positions: rope, and values of its own"
    if layer.prompt and (layer.window or layer.chunk or layer.cross):
        yield "prompt goes with attention to all tokens"
    if layer.window and layer.chunk:
        yield "window and chunk exclude each other"
    if layer.merge > 1 and (layer.causal or layer.cross or layer.window or layer.chunk):
        yield "merge goes with attention of all tokens to all others"
    if layer.window_ahead and (layer.causal or not layer.window):
        yield "window_ahead goes with a window of attention that is not causal"
    if layer.adapter_rank and not own_values:
        yield "adapter_rank goes with projections of queries, keys and values"

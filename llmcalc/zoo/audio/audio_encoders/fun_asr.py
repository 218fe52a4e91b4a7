"""Fun-ASR-Nano: an encoder whose attention has a memory of neighbouring frames beside it, and an adaptor of blocks."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Block, Branch, Named, Stack, Sublayer
from ....core.errors import SizeError
from ....core.layer import Layer
from ....importers.hf.config import Config
from ....importers.hf.families.gpt import BIASED
from ....importers.hf.rules import group_runs, layernorm, repeat_block, sublayer
from ....layers.attention import Attention
from ....layers.conv import Conv
from ....layers.linear import Linear
from ....layers.mlp import Mlp


def encoder(config: Config) -> Stack:
    """SAN-M [gao2020]: what a convolution makes of the values is added to what attention does."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    given, late = (
        config.size("num_mel_bins") * config.size("num_stacked_frames"),
        config.count("num_timestamp_prediction_layers"),
    )
    config.ignore("max_position_embeddings hidden_dropout attention_dropout is_encoder_decoder tie_word_embeddings")
    if late >= layers:
        raise SizeError(f"num_timestamp_prediction_layers ({late}) leaves none of {layers}", where=config.where)
    taps = config.size("fsmn_kernel_size")
    memory = Conv(width, width, taps, groups=width, bias=False)
    known: dict[tuple[bool, bool], Block] = {}
    order = []
    for index in range(layers):
        first, normed = index == 0, index in (layers - late - 1, layers - 1)
        made = _block(config, given if first else width, memory, layernorm(config, width) if normed else None)
        order.append(known.setdefault((first, normed), made))
    return Stack("audio", width, (), group_runs(order), (), "tower", "a")


def adaptor(config: Config, width: int) -> Stack:
    """Two layers and blocks without that memory."""
    out, inner = config.size("hidden_size"), config.size("projector_hidden_size")
    config.ignore("hidden_dropout attention_dropout is_encoder_decoder tie_word_embeddings")
    first = Linear(width, inner, activation=config.activation("projector_hidden_act"))
    inputs = (Named("projector_in", first), Named("projector_out", Linear(inner, out)))
    runs = repeat_block(_block(config, out, None, None), config.size("num_hidden_layers"))
    return Stack("adaptor", out, inputs, runs, (), "tower", "a")


def _block(config: Config, given: int, memory: Layer | None, last: Layer | None) -> Block:
    width = config.size("hidden_size")
    other = given if given != width else None
    fields: dict[str, Any] = {"causal": False, "d_input": other, **BIASED}
    attention = Attention(width, config.size("num_attention_heads"), **fields)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True)
    branches = (Branch("attention", attention), *([Branch("memory", memory)] if memory else []))
    parts = (
        Sublayer("attention", branches, layernorm(config, given), residual=other is None),
        sublayer("mlp", mlp, pre=layernorm(config, width), after=last),
    )
    return Block("first" if other else "normed" if last else "block", parts)

"""Fun-ASR-Nano's encoder, with a convolutional memory parallel to attention, and its multi-block projector."""

from __future__ import annotations

from ....core.architecture import Block, Branch, Named, Stack, Sublayer
from ....core.layer import Layer
from ....importers.hf.composite_models import config_at
from ....importers.hf.config import BIASED, Config, Fields
from ....importers.hf.encoders import check_encoder
from ....importers.hf.projectors import Link
from ....importers.hf.rules import group_runs, repeat_block, sublayer
from ....layers import Attention, Conv, Linear, Mlp
from ....layers.parts.inputs import Inputs


def read(config: Config) -> Stack:
    """Build the SAN-M encoder [gao2020], which adds a convolution of neighbouring frames (the memory) to attention."""
    width, layers = config.d_model, config.n_layers
    given, late = (
        config.size("num_mel_bins") * config.size("num_stacked_frames"),
        config.count("num_timestamp_prediction_layers"),
    )
    config.ignore("max_position_embeddings hidden_dropout attention_dropout is_encoder_decoder tie_word_embeddings")
    if late >= layers:
        raise config.size_error(
            f"num_timestamp_prediction_layers ({late}) must be less than the number of layers ({layers})"
        )
    memory = Conv(width, width, config.size("fsmn_kernel_size"), groups=width, bias=False)
    known: dict[tuple[bool, bool], Block] = {}
    order = []
    for index in range(layers):
        first, normed = index == 0, index in (layers - late - 1, layers - 1)
        made = _block(config, given if first else width, memory, config.layernorm() if normed else None)
        order.append(known.setdefault((first, normed), made))
    return Stack("audio", width, (), group_runs(order), (), "tower", "a")


ADAPTOR = {  # defaults of the adaptor's config, which has no type
    "hidden_size": 1024,
    "num_attention_heads": 8,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "layer_norm_eps": 1e-5,
    "hidden_act": "relu",
    "projector_hidden_act": "relu",
    "projector_hidden_size": 2048,
}


def adaptor(link: Link) -> list[Stack]:
    """Build the Fun-ASR-Nano projector with two linear layers, followed by blocks without a memory."""
    config = link.model.nested("adaptor_config", {**ADAPTOR, **config_at(link.model, "adaptor_config")}, "")
    width, out, inner = link.d_encoder, config.d_model, config.size("projector_hidden_size")
    config.ignore("hidden_dropout attention_dropout")
    first = Linear(width, inner, activation=config.activation("projector_hidden_act"))
    inputs = (Named("projector_in", first), Named("projector_out", Linear(inner, out)))
    runs = repeat_block(_block(config, out, None, None), config.n_layers)
    check_encoder(config)
    return [Stack("adaptor", out, inputs, runs, (), "tower", "a")]


def _block(config: Config, given: int, memory: Layer | None, last: Layer | None) -> Block:
    other = given if given != config.d_model else None
    fields: Fields = {"causal": False, "inputs": Inputs(other) if other else None, **BIASED}
    attention = Attention(config.d_model, config.n_heads, **fields)
    mlp = Mlp(config.d_model, config.size("intermediate_size"), config.activation(), bias=True)
    branches = (Branch("attention", attention), *([Branch("memory", memory)] if memory else []))
    parts = (
        Sublayer("attention", branches, config.layernorm(width=given), residual=other is None),
        sublayer("mlp", mlp, pre=config.layernorm(), after=last),
    )
    return Block("first" if other else "normed" if last else "block", parts)

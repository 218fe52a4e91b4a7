"""Inkling decoders with relative position profiles, short convolutions, and weighted shared experts."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture, Block, Named, Run, Stack
from ....core.errors import UnknownNameError
from ....core.layer import Layer
from ....importers.hf.config import Config, Fields
from ....importers.hf.rules import mixed_runs, sublayer
from ....layers import Embedding, Head, Mlp, MlpMultipliers, Moe, Routing, ScoredSharedExperts
from ..layers.depth_attention import DepthAttention
from ..layers.relative_profile_attention import RelativeProfileAttention
from ..layers.residual_conv import ResidualConv

PERIOD = 6  # type of layers without a window
FULL, LOCAL = "hybrid", "hybrid_sliding"
BEHIND = "mtp_hidden_states_first mtp_local_layer_ids num_mtp_layers chain_hidden_post_norm"  # never built by the class


def inkling(config: Config) -> Architecture:
    """Read an Inkling config [tml2026]. A short convolution follows each attention and feed-forward layer."""
    layers, width = config.n_layers, config.d_model
    config.ignore(f"{BEHIND} shared_expert_sink rms_norm_eps_moe_gate number_of_conv_states")
    attention = {kind: attention_layer(config, kind, norm="rmsnorm") for kind in (FULL, LOCAL)}
    hidden, wide = config.size("moe_intermediate_size"), config.size("intermediate_size")
    if config.optional_size("dense_intermediate_size"):  # checkpoints use the other value for the experts
        hidden, wide = wide, config.size("dense_intermediate_size")
    feeds = {
        "dense": Mlp(width, wide, config.activation(), gated=True, multipliers=MlpMultipliers(learned=True)),
        "sparse": expert_layer(
            config, hidden, activation=config.activation(), learned_scale=True, n_shared=config.size("n_shared_experts")
        ),
    }
    dense = config.count("dense_mlp_idx")
    usual = ["dense" if index < dense else "sparse" for index in range(layers)]
    order = zip(layer_kinds(config, layers), config.strings("mlp_layer_types", layers) or usual, strict=True)
    norm, conv = config.rmsnorm(), ResidualConv(width, config.size("conv_kernel_size"))

    def build(name: str, mixer: Layer, feed: Layer) -> Block:
        """Return a block in which each sub-layer ends with a convolution."""
        return Block(
            name, (sublayer("attention", mixer, pre=norm, post=conv), sublayer("mlp", feed, pre=norm, post=conv))
        )

    runs = mixed_runs(attention, feeds, order, build)
    divisor = config.positive_number("logits_mup_width_multiplier")
    vocab, real = config.vocab, config.optional_size("unpadded_vocab_size")
    if real is not None and real < vocab:
        config.add_unmodelled(f"the model class keeps only the first {real} logits")
    return text_model(config, runs, (), Head(vocab, width, input_scale=1 / divisor))


def text_model(
    config: Config, runs: tuple[Run, ...], before: tuple[Named, ...], head: Head, depth: int = 0
) -> Architecture:
    """Return a decoder with normalised token embeddings, the given blocks, and an untied head."""
    config.ignore("tie_word_embeddings max_position_embeddings")
    token = Embedding(config.vocab, config.d_model, normed=True, norm_eps=config.eps)
    outputs = [Named("depth", DepthAttention(config.d_model, depth))] if depth else []
    outputs.append(Named("norm", config.rmsnorm()))
    if (config.head_kind() or "causal") == "causal":
        outputs.append(Named("head", head))
    elif config.head_kind() != "none":
        raise config.error("only the language model, with or without its head, is supported")
    stack = Stack("decoder", config.d_model, (Named("token", token), *before), runs, tuple(outputs))
    return Architecture(config.model_type, (stack,))


def layer_kinds(config: Config, layers: int) -> list[str]:
    """Return the attention type of each layer, either full or sliding-window."""
    chosen = set(config.layer_indices("local_layer_ids")) if config.get("local_layer_ids") is not None else None
    usual = [
        (LOCAL if index in chosen else FULL) if chosen is not None else (LOCAL if (index + 1) % PERIOD else FULL)
        for index in range(layers)
    ]
    found = config.strings("layer_types", layers) or usual
    strange = next((kind for kind in found if kind not in (FULL, LOCAL)), None)
    if strange is not None:
        raise UnknownNameError("layer type", strange, (FULL, LOCAL), where=config.where)
    return found


def attention_layer(config: Config, kind: str, **changes: Any) -> RelativeProfileAttention:
    """Return the attention layer for the layer type ``kind``."""
    prefix, span = ("swa_", config.size("sliding_window_size")) if kind == LOCAL else ("", None)
    head = config.size(f"{prefix}head_dim")
    fields: Fields = {
        "d_head": head,
        "d_profile": config.size("d_rel"),
        "reach": span or config.size("rel_extent"),
        "d_conv": config.size("conv_kernel_size"),
        "window": span,
        "norm_eps": config.eps,
        "scale": 1 / head if changes.get("norm") == "rmsnorm" else None,
    }
    start = config.optional_size("log_scaling_n_floor")
    strength = config.number("log_scaling_alpha") or 0.0
    if kind == FULL and start:
        fields |= {"stretch": strength, "stretch_from": start}
    heads = (config.size(f"{prefix}num_attention_heads"), config.size(f"{prefix}num_key_value_heads"))
    return RelativeProfileAttention(config.d_model, *heads, **{**fields, **changes})


def expert_layer(
    config: Config, hidden: int, *, learned_scale: bool = False, n_shared: int | None = None, **changes: Any
) -> Moe:
    """Return a mixture of experts with sigmoid scores and a correction bias that affects only expert selection."""
    sizes = (config.d_model, hidden, config.size("n_routed_experts"), config.size("num_experts_per_tok"))
    scale = config.number("route_scale")
    routing = Routing(
        "sigmoid",
        correction="buffer",
        renormalise=True,
        scale=1.0 if scale is None else scale,
        learned_scale=learned_scale,
    )
    return Moe(*sizes, routing=routing, scored_shared=ScoredSharedExperts(n_shared) if n_shared else None, **changes)

"""Hybrids: attention among recurrent layers, one mixer a layer, layers without a mixer."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture, Block, Sublayer
from ....core.errors import DescriptionError, UnknownNameError, shown
from ....core.layer import Layer
from ....layers.gated_delta_net import GatedDeltaNet
from ....layers.mamba import Mamba
from ....layers.mamba2 import Mamba2
from ....layers.mlp import Mlp
from ....layers.moe import Moe
from ..config import Config
from ..rules import causal_lm, gated_mlp, group_runs, layer_types, prenorm_block, rmsnorm, rope_attention, sublayer
from .moe import sparse_layers


def qwen3_next(config: Config) -> Architecture:
    """Qwen3-Next: three gated delta nets to one gated attention; experts with a gated shared one."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width, unit_offset=True)
    head = config.optional_size("head_dim")
    rotary = int((head or width // config.size("num_attention_heads")) * config.partial_rotary(0.25))
    mixers: dict[str, Layer] = {
        "full_attention": rope_attention(
            config, gated=True, qk_norm="head", qk_norm_unit_offset=True, rotary_dim=rotary
        ),
        "linear_attention": gated_delta_net(config),
    }
    experts = Moe(
        width,
        config.size("moe_intermediate_size"),
        config.size("num_experts"),
        config.size("num_experts_per_tok"),
        config.activation(),
        renormalise=config.flag("norm_topk_prob", True),
        d_ff_shared=config.optional_size("shared_expert_intermediate_size", zero_is_none=True),
        shared_gate=True,
    )
    chosen = sparse_layers(config, layers)
    period = config.size("full_attention_interval", 4)
    pattern = ["full_attention" if (index + 1) % period == 0 else "linear_attention" for index in range(layers)]
    feed = {True: experts, False: gated_mlp(config)}
    names = {"full_attention": "attention", "linear_attention": "linear"}
    kinds = {
        (kind, sparse): prenorm_block(
            names[kind] + ("" if sparse else "_dense"), norm, **{names[kind]: mixer, "mlp": feed[sparse]}
        )
        for kind, mixer in mixers.items()
        for sparse in (True, False)
    }
    order = (kinds[kind, index in chosen] for index, kind in enumerate(layer_types(config, layers, pattern)))
    return causal_lm(config, group_runs(order), norm)


def gated_delta_net(config: Config) -> GatedDeltaNet:
    """The gated delta net in the keys of the Qwen configs."""
    return GatedDeltaNet(
        config.size("hidden_size"),
        config.size("linear_num_key_heads"),
        config.size("linear_num_value_heads"),
        config.size("linear_key_head_dim"),
        config.size("linear_value_head_dim"),
        config.size("linear_conv_kernel_dim"),
        norm_eps=config.number("rms_norm_eps") or 1e-6,
        activation=config.activation(),
    )


def jamba(config: Config) -> Architecture:
    """Jamba [lieber2024]: Mamba layers, attention every eighth, experts every second."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width)
    rank = config.get("mamba_dt_rank")
    mixers: dict[str, Layer] = {
        "attention": rope_attention(config, bias=False, positions="none"),
        "mamba": Mamba(
            width,
            config.size("mamba_expand") * width,
            config.size("mamba_d_state"),
            config.size("mamba_d_conv"),
            -(-width // 16) if rank == "auto" else config.size("mamba_dt_rank"),
            bias=config.flag("mamba_proj_bias"),
            conv_bias=config.flag("mamba_conv_bias"),
            bcdt_norm="rmsnorm",
            norm_eps=config.number("rms_norm_eps") or 1e-6,
            activation=config.activation(),
        ),
    }
    n_experts = config.size("num_experts")
    experts = Moe(
        width, config.size("intermediate_size"), n_experts, config.size("num_experts_per_tok"), config.activation()
    )
    feed: dict[bool, Layer] = {True: experts, False: gated_mlp(config)}
    kinds = {
        (mixer, sparse): prenorm_block(
            f"{mixer}_moe" if sparse else mixer, norm, **{mixer: mixers[mixer], "mlp": feed[sparse]}
        )
        for mixer in mixers
        for sparse in feed
    }
    attention_period, attention_offset = config.size("attn_layer_period"), config.count("attn_layer_offset")
    expert_period, expert_offset = config.size("expert_layer_period"), config.count("expert_layer_offset")
    order = (
        kinds[
            "attention" if index % attention_period == attention_offset else "mamba",
            n_experts > 1 and index % expert_period == expert_offset,
        ]
        for index in range(layers)
    )
    return causal_lm(config, group_runs(order), norm)


_LETTERS = {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"}
_IGNORED_BY_NEMOTRON = (  # computed from others, for modules that the class never builds, or without effect in it
    "num_hidden_layers sliding_window expand mamba_proj_bias n_shared_experts "
    "num_nextn_predict_layers time_step_rank mtp_layers_block_type mtp_hybrid_override_pattern partial_rotary_factor "
    "attention_head_dim mamba_ssm_cache_dtype "
    "tie_word_embeddings"  # the class never ties
)
_OLD_NAMES = {"mamba": "linear_attention", "attention": "full_attention"}


def nemotron_h(config: Config) -> Architecture:
    """Nemotron-H and Nemotron 3: one mixer or feed-forward layer a block."""
    width = config.size("hidden_size")
    norm = rmsnorm(config, width, "layer_norm_epsilon")
    config.ignore(_IGNORED_BY_NEMOTRON)
    latent = config.optional_size("moe_latent_size")
    n_experts = config.size("n_routed_experts")
    readers: dict[str, Any] = {
        "linear_attention": ("mamba", lambda: _nemotron_mamba(config)),
        "full_attention": ("attention", lambda: rope_attention(config, bias=_unused_flag(config), positions="none")),
        "mlp": ("mlp", lambda: _plain_mlp(config)),
        "moe": (
            "moe",
            lambda: Moe(
                width,
                config.size("moe_intermediate_size"),
                n_experts,
                config.size("num_experts_per_tok"),
                config.activation("mlp_hidden_act"),
                gated=False,
                expert_bias=False,
                router="sigmoid",
                renormalise=config.flag("norm_topk_prob", True),
                routed_scale=config.number("routed_scaling_factor") or 1.0,
                correction_bias="buffer",
                group_score="two",
                n_groups=config.size("n_group", 1),
                top_groups=config.size("topk_group", 1),
                d_ff_shared=config.size("moe_shared_expert_intermediate_size"),
                shared_bias=config.flag("mlp_bias"),
                d_latent=latent,
                latent_bias=config.flag("mlp_bias"),
            ),
        ),
    }
    kinds = {kind: Block(name, (sublayer(name, build(), pre=norm),)) for kind, (name, build) in readers.items()}
    return causal_lm(config, group_runs(kinds[kind] for kind in _nemotron_order(config, kinds)), norm, tied=False)


def _unused_flag(config: Config) -> bool:
    config.get("attention_bias")  # the class has the key and builds no bias
    return False


def _nemotron_order(config: Config, kinds: dict[str, Block]) -> list[str]:
    types, pattern = config.strings("layers_block_type"), config.get("hybrid_override_pattern")
    if types is None and pattern is None:
        types = ["linear_attention", "moe", "full_attention", "mlp"]
    if types is None:
        if not isinstance(pattern, str):
            raise DescriptionError(f"hybrid_override_pattern is {shown(pattern)}; it is a text", where=config.where)
        unknown = next((letter for letter in pattern if letter not in _LETTERS), None)
        if unknown:
            raise UnknownNameError("letter of hybrid_override_pattern", unknown, _LETTERS, where=config.where)
        types = [_LETTERS[letter] for letter in pattern]
    types = [_OLD_NAMES.get(kind, kind) for kind in types]
    wrong = next((kind for kind in types if kind not in kinds), None)
    if wrong:
        raise UnknownNameError("layer type", wrong, kinds, where=config.where)
    return types


def _nemotron_mamba(config: Config) -> Mamba2:
    return Mamba2(
        config.size("hidden_size"),
        config.size("mamba_num_heads"),
        config.size("mamba_head_dim"),
        config.size("ssm_state_size"),
        config.size("n_groups"),
        config.size("conv_kernel"),
        config.size("chunk_size"),
        bias=config.flag("use_bias"),
        conv_bias=config.flag("use_conv_bias"),
        norm_eps=config.number("layer_norm_epsilon") or 1e-5,
        dt_min=config.number("time_step_min") or 0.0,  # the class takes it as the bound; time_step_limit rests
        activation=config.activation("mamba_hidden_act"),
    )


def _plain_mlp(config: Config) -> Mlp:
    return Mlp(
        config.size("hidden_size"),
        config.size("intermediate_size"),
        config.activation("mlp_hidden_act"),
        bias=config.flag("mlp_bias"),
    )


def nemotron_nas(config: Config) -> Architecture:
    """Llama-Nemotron found by search: each layer has its own width, and may lack its attention or its MLP."""
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    norm = rmsnorm(config, width)
    blocks = config.get("block_configs")
    if not isinstance(blocks, list) or len(blocks) != config.size("num_hidden_layers"):
        raise DescriptionError("block_configs is a list with one entry a layer", where=config.where)
    known: dict[str, Block] = {}
    order = []
    for entry in blocks:
        key = repr(entry)
        if key not in known:
            known[key] = Block(f"block{len(known)}", _nas_block(config, entry, norm, width, heads))
        order.append(known[key])
    return causal_lm(config, group_runs(order), norm)


_NAS_MULTIPLE = 256


def _nas_block(config: Config, entry: Any, norm: Layer, width: int, heads: int) -> tuple[Sublayer, ...]:
    try:
        attention, feed = dict(entry["attention"]), dict(entry["ffn"])
    except (TypeError, KeyError, ValueError):
        raise DescriptionError(f"{shown(entry)} is no entry of block_configs", where=config.where) from None
    if attention.get("replace_with_linear") or feed.get("replace_with_linear"):
        raise DescriptionError("replace_with_linear is not modelled", where=config.where)
    found = []
    if not attention.get("no_op"):
        group = attention.get("n_heads_in_group")
        if not isinstance(group, int) or group is True or group < 1 or heads % group:
            raise DescriptionError(f"n_heads_in_group is {shown(group)}; it divides {heads}", where=config.where)
        found.append(sublayer("attention", rope_attention(config, n_kv_heads=heads // group), pre=norm))
    if not feed.get("no_op"):
        factor = feed.get("ffn_mult")
        if not isinstance(factor, (int, float)) or factor is True or factor <= 0:
            raise DescriptionError(f"ffn_mult is {shown(factor)}; it is a positive number", where=config.where)
        d_ff = -(-int(2 * factor * width / 3) // _NAS_MULTIPLE) * _NAS_MULTIPLE
        found.append(
            sublayer("mlp", Mlp(width, d_ff, config.activation(), gated=True, bias=config.flag("mlp_bias")), pre=norm)
        )
    return tuple(found)

"""Kimi Linear and Kimi K3: KDA layers, latent attention without positions among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named, Stack, Sublayer
from ....core.errors import DescriptionError, UnknownNameError, shown
from ....core.layer import is_number
from ....core.layer_history import counted
from ....layers.attention_residual import AttentionResidual
from ....layers.kda import Kda
from ....layers.mlp import Mlp
from ..config import Config
from ..rules import group_runs
from .deepseek import mla
from .linear import sigmoid_lm

_FIXED_ROUTING = "moe_layer_freq moe_router_activation_func use_grouped_topk mla_use_nope num_nextn_predict_layers"
_SIZES = ("head_dim", "num_heads", "short_conv_kernel_size")
_LAYERS = ("full_attn_layers", "kda_layers")
_GATES = ("use_full_rank_gate", "gate_lower_bound")  # Kimi K3
EPS = 1e-6


def kimi_linear(config: Config) -> Architecture:
    """Kimi Linear [kimi2025linear] and Kimi K3's language model [moonshot2026k3]; never tied."""
    layers = config.size("num_hidden_layers")
    config.ignore(_FIXED_ROUTING)
    inner = _linear_config(config)
    full = {*inner.get("full_attn_layers", []), *inner.get("kda_layers", [])}
    if full and sorted(full) != list(range(1, layers + 1)):
        raise DescriptionError("full_attn_layers and kda_layers do not cover all layers", where=config.where)
    places = {index - 1 for index in inner["full_attn_layers"]} if full else set(range(4, layers, 4))
    types = ["full_attention" if index in places else "linear_attention" for index in range(layers)]
    gate = "input" if config.flag("mla_use_output_gate") else "none"
    mixers = {"full_attention": mla(config, rope=False, gate=gate), "linear_attention": _kda(config, inner)}
    activation, eps = _activation(config), config.number("rms_norm_eps") or EPS
    mlp = Mlp(config.size("hidden_size"), config.size("intermediate_size"), gated=True, **activation)
    latent: dict[str, Any] = {"d_latent": config.optional_size("routed_expert_hidden_size")}
    if latent["d_latent"]:
        latent |= {"latent_norm": config.flag("latent_moe_use_norm"), "latent_norm_eps": eps}
    dense = config.count("first_k_dense_replace", 1)
    built = sigmoid_lm(config, mixers, types, dense, mlp, **activation, **latent)
    every = config.optional_size("attn_res_block_size")
    return replace(built, stacks=(_looking_back(built.main, every, eps),)) if every else built


def _kda(config: Config, inner: dict[str, Any]) -> Kda:
    """The layer of linear attention, by the keys of published files or of the class."""
    heads, head, taps = (config.size(f"linear_{name}") for name in ("num_heads", "head_dim", "conv_kernel_dim"))
    head = inner.get("head_dim", head)
    return Kda(
        config.size("hidden_size"),
        inner.get("num_heads", heads),
        head,
        inner.get("short_conv_kernel_size", taps),
        gate_rank=head,
        full_gate=inner.get("use_full_rank_gate", False),
        decay_bound=inner.get("gate_lower_bound"),
        norm_eps=config.number("rms_norm_eps") or EPS,
        activation="silu" if config.string("hidden_act") == "situ" else config.activation(),
    )


def _activation(config: Config) -> dict[str, Any]:
    """The activation of all feed-forward layers, with its bounds if it has any."""
    if config.string("hidden_act") != "situ":
        return {"activation": config.activation()}
    bounds = {"gate_softcap": config.positive_number("activation_situ_beta")}
    if config.get("activation_situ_linear_beta") is not None:
        bounds["up_softcap"] = config.positive_number("activation_situ_linear_beta")
    return {"activation": "situ", **bounds}


def _linear_config(config: Config) -> dict[str, Any]:
    """The inner object of published files, whose layers are counted from 1."""
    found = config.get("linear_attn_config")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise DescriptionError(f"linear_attn_config is {shown(found)}; it is an object", where=config.where)
    for key, value in found.items():
        if key not in (*_SIZES, *_LAYERS, *_GATES):
            raise UnknownNameError("key of linear_attn_config", key, (*_SIZES, *_LAYERS, *_GATES), where=config.where)
        if key == "use_full_rank_gate":
            wanted, right = "it is true or false", type(value) is bool
        elif key == "gate_lower_bound":
            wanted, right = "it is a number", value is None or is_number(value)
        else:
            numbers = value if key in _LAYERS else [value]
            wanted, right = "it holds whole numbers", isinstance(numbers, list)
            right &= all(type(number) is int for number in numbers)
        if not right:
            raise DescriptionError(f"{key} is {shown(value)}; {wanted}", where=config.where)
    return found


def _looking_back(stack: Stack, every: int, eps: float) -> Stack:
    """A decoder whose sub-layers look back at the sums of earlier blocks of ``every`` layers."""
    known: dict[tuple[Block, bool], Block] = {}
    blocks = [run.block for run in stack.runs for _ in range(run.count)]
    order = []
    for index, block in enumerate(blocks):
        key = (block, index % every == 0)
        if key not in known:
            known[key] = _with_residuals(*key, stack.d_model, eps)
        order.append(known[key])
    last = Named("attention_residual", AttentionResidual(stack.d_model, norm_eps=eps))
    return counted(replace(stack, runs=group_runs(order), outputs=(last, *stack.outputs)))


def _with_residuals(block: Block, closes: bool, width: int, eps: float) -> Block:
    """A block that looks back; if it closes an earlier block of layers, it starts the stream anew."""
    mixer, feed = block.sublayers
    first = _looking(mixer, AttentionResidual(width, closes, norm_eps=eps), residual=not closes)
    second = _looking(feed, AttentionResidual(width, norm_eps=eps), residual=True)
    return Block(f"{block.name}_first" if closes else block.name, (first, second))


def _looking(part: Sublayer, back: AttentionResidual, residual: bool) -> Sublayer:
    branches = tuple(replace(branch, pre=part.pre) for branch in part.branches)
    return replace(part, branches=branches, pre=back, residual=residual)

"""Hybrids of attention and Mamba-2 in the keys of Bamba: Bamba, Granite 4, Falcon-H1."""

from __future__ import annotations

from ....core.architecture import Architecture, Block, Branch, Sublayer
from ....core.errors import DescriptionError, SizeError
from ....core.layer import Layer
from ....layers.mamba2 import Mamba2
from ....layers.mlp import Mlp
from ....layers.moe import Moe
from ..config import Config
from ..rules import causal_lm, glu, layer_types, mixed, repeated, rmsnorm, rope_attention, rotary, sublayer


def bamba(config: Config) -> Architecture:
    """Bamba: Mamba-2 layers, attention at the given places, a dense layer behind each."""
    norm = rmsnorm(config, config.size("hidden_size"))
    config.ignore("z_loss_coefficient")
    mixers: dict[str, Layer] = {
        "full_attention": rope_attention(config, rotary_dim=rotary(config, 0.5)),
        "linear_attention": _mamba2(config, config.size("mamba_expand") * config.size("hidden_size")),
    }
    places = set(config.indices("attn_layer_indices"))
    types = ["full_attention" if i in places else "linear_attention" for i in range(config.size("num_hidden_layers"))]
    feed: dict[str, Layer] = {"dense": glu(config, bias=config.flag("mlp_bias"))}
    return causal_lm(config, mixed(norm, mixers, feed, ((kind, "dense") for kind in types)), norm)


def granitemoehybrid(config: Config) -> Architecture:
    """Granite 4: Mamba-2 layers and few of attention, experts beside a shared layer, or that layer alone."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width)
    config.ignore("embedding_multiplier logits_scaling residual_multiplier")
    if config.word("normalization_function", "rmsnorm") != "rmsnorm":
        raise DescriptionError("normalization_function is not rmsnorm", where=config.where)
    positions = "rope" if config.get("position_embedding_type") == "rope" else "none"
    mixers: dict[str, Layer] = {
        "full_attention": rope_attention(config, positions=positions, scale=config.number("attention_multiplier")),
        "linear_attention": _mamba2(config, config.size("mamba_expand") * width),
    }
    order = layer_types(config, layers, ["linear_attention"] * layers)
    return causal_lm(
        config, mixed(norm, mixers, {"feed": _shared_or_sparse(config)}, ((kind, "feed") for kind in order)), norm
    )


def _shared_or_sparse(config: Config) -> Layer:
    width, shared = config.size("hidden_size"), config.size("shared_intermediate_size")
    config.get("intermediate_size")
    config.get("num_experts_per_tok")
    n_experts = config.count("num_local_experts")
    if not n_experts:
        return Mlp(width, shared, config.activation(), gated=True)
    top_k, d_ff = config.size("num_experts_per_tok"), config.size("intermediate_size")
    return Moe(width, d_ff, n_experts, top_k, config.activation(), d_ff_shared=shared)


_MULTIPLIERS = (
    "attention_in_multiplier attention_out_multiplier embedding_multiplier key_multiplier lm_head_multiplier "
    "mlp_multipliers ssm_in_multiplier ssm_multipliers ssm_out_multiplier mamba_norm_before_gate"
)


def falcon_h1(config: Config) -> Architecture:
    """Falcon-H1 [zuo2025]: attention and Mamba-2 side by side in every layer; their outputs are added."""
    width = config.size("hidden_size")
    norm = rmsnorm(config, width)
    config.ignore(_MULTIPLIERS)
    inner = config.optional_size("mamba_d_ssm") or config.size("mamba_expand") * width
    config.get("mamba_expand")
    mamba = _mamba2(config, inner, out_bias=config.flag("projectors_bias"), norm=config.flag("mamba_rms_norm"))
    mixers = (Branch("mamba", mamba), Branch("attention", rope_attention(config)))
    mlp = sublayer("mlp", glu(config, bias=config.flag("mlp_bias")), pre=norm)
    block = Block("block", (Sublayer("mixer", mixers, norm), mlp))
    return causal_lm(config, repeated(block, config.size("num_hidden_layers")), norm)


def _mamba2(config: Config, inner: int, out_bias: bool | None = None, norm: bool = True) -> Mamba2:
    """The Mamba-2 layer in these configs' keys; the width of a head is ``auto`` or must agree with the inner width."""
    heads = config.size("mamba_n_heads")
    if inner % heads:
        raise SizeError(f"mamba_n_heads ({heads}) does not divide the inner width {inner}", where=config.where)
    head = inner // heads if config.get("mamba_d_head") == "auto" else config.size("mamba_d_head")
    if head * heads != inner:
        raise SizeError(
            f"mamba_d_head · mamba_n_heads is {head * heads}, not the inner width {inner}", where=config.where
        )
    return Mamba2(
        config.size("hidden_size"),
        heads,
        head,
        config.size("mamba_d_state"),
        config.size("mamba_n_groups"),
        config.size("mamba_d_conv"),
        config.size("mamba_chunk_size"),
        bias=config.flag("mamba_proj_bias"),
        conv_bias=config.flag("mamba_conv_bias"),
        norm=norm,
        out_bias=out_bias,
    )

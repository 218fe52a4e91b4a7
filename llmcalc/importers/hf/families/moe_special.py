"""Mixtures of experts of unusual shape: JetMoE, DBRX, LongCat-Flash, Command A MoE, MiniMax-Text-01, Beam."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Run, Sublayer
from ....core.errors import DescriptionError, SizeError, shown
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.head import Head
from ....layers.moe import Moe
from ....layers.norm import Norm
from ....zoo.research.layers.lightning_attention import LightningAttention
from ....zoo.research.layers.routed_attention import RoutedAttention
from ..config import Config
from ..rope import rope_fields
from ..rules import (
    TOKENS,
    causal_lm,
    divide_by_heads,
    experts,
    gated_mlp,
    group_runs,
    hybrid_runs,
    layer_types,
    layernorm,
    lm_head,
    mlp_types,
    prenorm_block,
    repeat_block,
    rmsnorm,
    rope_attention,
    sliding_window,
    sublayer,
)
from .deepseek import mla
from .moe_shared import SIGMOID


def jetmoe(config: Config) -> Architecture:
    """JetMoE [shen2024]: experts in attention and in feed-forward layers, a bias on the output of both."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    config.ignore("num_attention_heads")  # key/value heads times experts a token
    n_experts, top_k = config.size("num_local_experts"), config.size("num_experts_per_tok")
    attention = RoutedAttention(
        width,
        config.size("num_key_value_heads"),
        config.size("kv_channels"),
        n_experts,
        top_k,
        out_bias=True,
        rope_theta=config.rope_theta(),
        **rope_fields(config),
    )
    act = config.activation("activation_function")
    feed = Moe(width, config.size("intermediate_size"), n_experts, top_k, act, renormalise=True, out_bias=True)
    inner = Norm(width, "rmsnorm", eps=1e-6)  # whatever the config says
    block = prenorm_block("block", inner, attention=attention, mlp=feed)
    return causal_lm(config, repeat_block(block, layers), rmsnorm(config, width))


def minimax(config: Config) -> Architecture:
    """MiniMax-Text-01: lightning attention, softmax attention in some layers."""
    layers, norm = config.size("num_hidden_layers"), rmsnorm(config, config.size("hidden_size"))
    config.get("sliding_window")  # its class masks, but keeps all tokens
    softmax = rope_attention(config, bias=False)
    mixers: dict[str, Layer] = {
        "full_attention": softmax,
        "linear_attention": LightningAttention(
            config.size("hidden_size"),
            softmax.n_heads,
            softmax.d_head or 0,
            config.size("block_size"),
            activation=config.activation(),
        ),
    }
    feeds: dict[str, Layer] = {"sparse": experts(config, "num_local_experts", "intermediate_size")}
    pattern = ["linear_attention" if index % 2 else "full_attention" for index in range(layers)]
    order = ((kind, "sparse") for kind in layer_types(config, layers, pattern))
    return causal_lm(config, _weighed(config, hybrid_runs(norm, mixers, feeds, order)), norm)


def _weighed(config: Config, runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """The runs with MiniMax's sums: of what a sub-layer reads, behind its norm, and of its result, with two factors."""
    factors = {
        name: (config.number(f"{name}_alpha_factor", 1.0) or 0.0, config.number(f"{name}_beta_factor", 1.0) or 0.0)
        for name in ("full_attn", "linear_attn", "mlp")
    }

    def weighed(part: Sublayer) -> Sublayer:
        kind = part.branches[0].layer.kind()
        kept, added = factors[{"attention": "full_attn", "lightning_attention": "linear_attn"}.get(kind, "mlp")]
        return replace(part, residual_normed=True, residual_scale=kept, scale=added)

    blocks = {run.block: Block(run.block.name, tuple(map(weighed, run.block.sublayers))) for run in runs}
    return tuple(replace(run, block=blocks[run.block]) for run in runs)


def longcat_flash(config: Config) -> Architecture:
    """LongCat-Flash [meituan2025]: two latent attentions and two dense layers a block, and experts that join last."""
    layers, norm = config.size("num_layers"), rmsnorm(config, config.size("hidden_size"))
    config.ignore("num_hidden_layers")  # twice num_layers
    zero = config.count("zero_expert_num")
    routed = experts(
        config,
        "n_routed_experts",
        "expert_ffn_hidden_size",
        n_zero_experts=zero,
        renormalise=False,
        correction_bias="buffer",
        router_bias=config.flag("router_bias"),
        router_bias_unused=config.flag("router_bias"),
    )
    nope, rope = config.size("qk_nope_head_dim"), config.size("qk_rope_head_dim")
    if config.size("qk_head_dim", nope + rope) != nope + rope:  # this class uses what a file says
        raise SizeError(f"qk_head_dim is not qk_nope_head_dim + qk_rope_head_dim ({nope} + {rope})", where=config.where)
    attention, dense = mla(config, latent_scaled=True), gated_mlp(config, key="ffn_hidden_size")
    parts = (
        sublayer("attention0", attention, pre=norm),
        Sublayer("mlp0", (Branch("mlp", dense), Branch("experts", routed, joins="mlp1")), pre=norm),
        sublayer("attention1", attention, pre=norm),
        sublayer("mlp1", dense, pre=norm),
    )
    built = causal_lm(config, repeat_block(Block("block", parts), layers), norm)
    if not zero:
        return built
    return replace(built, notes=("a token may choose experts without work: FLOPs are counted as if it chose none",))


def cohere2_moe(config: Config) -> Architecture:
    """Command A with experts: one norm before attention and experts, which run side by side."""
    layers, width = config.size("num_hidden_layers"), config.size("hidden_size")
    norm: Norm = layernorm(config, width, "layer_norm_eps", bias=False)
    if config.number("rms_norm_eps") is not None:
        norm = rmsnorm(config, width)
    dense, limit = config.count("first_k_dense_replace"), sliding_window(config)
    prefix, rest = config.size("prefix_dense_sliding_window_pattern", 1), config.size("sliding_window_pattern", 4)
    turned: dict[str, Any] = {"rope_interleaved": True}
    mixers: dict[tuple[str, str], Layer] = {
        ("full_attention", feed): rope_attention(
            config, positions="rope" if feed == "dense" and prefix == 1 else "none", **turned
        )
        for feed in ("dense", "sparse")
    }
    mixers |= {
        ("sliding_attention", feed): rope_attention(config, window=limit, **turned) for feed in ("dense", "sparse")
    }
    shared = config.count("num_shared_experts") * config.size("intermediate_size")
    scoring = config.string("expert_selection_fn", "softmax")
    weighed: dict[str, Any] = {"renormalise": True} if scoring == "softmax" else {}
    if shared and config.string("shared_expert_combination_strategy", "average") == "average":
        weighed |= {"routed_scale": 1 / 2, "shared_scale": 1 / 2}
    config.ignore("shared_expert_combination_strategy")
    routed = experts(config, width="intermediate_size", d_ff_shared=shared or None, router=scoring, **weighed)
    key = "prefix_dense_intermediate_size" if config.get("prefix_dense_intermediate_size") else "intermediate_size"
    feeds: dict[str, Layer] = {"dense": gated_mlp(config, key=key), "sparse": routed}
    periods = [(index, prefix) for index in range(dense)] + [(index, rest) for index in range(layers - dense)]
    pattern = ["sliding_attention" if (index + 1) % period else "full_attention" for index, period in periods]
    kinds = zip(layer_types(config, layers, pattern), mlp_types(config, layers, dense), strict=True)
    blocks = {
        (kind, feed): Block(
            f"{'global' if kind == 'full_attention' else 'local'}_{feed}",
            (Sublayer("parallel", (Branch("attention", mixers[kind, feed]), Branch("mlp", feeds[feed])), pre=norm),),
        )
        for kind, feed in mixers
    }
    head = lm_head(config, input_scale=config.number("logit_scale", 1.0))
    return causal_lm(config, group_runs(blocks[kind] for kind in kinds), norm, head=head)


def dbrx(config: Config) -> Architecture:
    """DBRX [databricks2024]: LayerNorm without biases, clipped projections, experts folded into rows."""
    width, heads = config.size("d_model"), config.size("n_heads")
    attend, feed = _nested(config, "attn_config"), _nested(config, "ffn_config")
    config.ignore("num_key_value_heads tie_word_embeddings")  # the class refuses to tie
    attend.ignore("attn_pdrop rope_theta is_encoder_decoder")
    feed.ignore("is_encoder_decoder hidden_size moe_loss_weight moe_jitter_eps")
    power = feed.get("moe_normalize_expert_weights", 1.0)  # of the norm that shares are divided by; None: they are not
    norms: dict[str, Any] = {"renormalise": power is not None}
    norms |= {} if power is None else {"renormalise_power": feed.finite_number(power, "moe_normalize_expert_weights")}
    attention = Attention(
        width,
        heads,
        attend.size("kv_n_heads", 1),
        divide_by_heads(config, width, heads),
        clip=attend.number("clip_qkv"),
        positions="rope",
        **rope_fields(config),
        rope_theta=config.rope_theta(default=attend.number("rope_theta") or 10000.0),
    )
    act = feed.get("ffn_act_fn") or {"name": "silu"}
    if not isinstance(act, dict) or set(act) != {"name"}:
        raise DescriptionError(f"ffn_act_fn is {shown(act)}; it is a name alone", where=config.where)
    n_experts, top_k = feed.size("moe_num_experts", 4), feed.size("moe_top_k", 1)
    activation = config.activation_name(act["name"], "ffn_act_fn")
    routed = Moe(width, feed.size("ffn_hidden_size", 3584), n_experts, top_k, activation, **norms)
    for part in (attend, feed):
        part.check_all_read()
    norm = Norm(width, "layernorm")
    block = prenorm_block("block", norm, attention=attention, mlp=routed)
    return causal_lm(config, repeat_block(block, config.size("n_layers")), norm, tied=False)


def _nested(config: Config, key: str) -> Config:
    value = config.get(key) or {}
    if not isinstance(value, dict):
        raise DescriptionError(f"{key} is {shown(value)}; it is an object", where=config.where)
    return config.nested(key, {name: entry for name, entry in value.items() if name != "model_type"}, "")


def beam(config: Config) -> Architecture:
    """Beam: norms around every sub-layer, sums that weigh by depth, a gate on each value with a bias a head."""
    layers, norm = config.size("num_hidden_layers"), rmsnorm(config, config.size("hidden_size"))
    gate: dict[str, Any] = {"gated": True, "gate_bias": "head", "qk_norm": "head"}
    spans = {"full_attention": None, "sliding_attention": sliding_window(config)}
    mixers = {kind: rope_attention(config, window=spans[kind], **_beam_places(config, kind), **gate) for kind in spans}
    pattern = [
        "full_attention" if index == layers - 1 or (index + 1) % 6 == 0 else "sliding_attention"
        for index in range(layers)
    ]
    groups: dict[str, Any] = {"n_groups": config.size("n_group", 1), "top_groups": config.size("topk_group", 1)}
    feeds: dict[str, Layer] = {
        "dense": gated_mlp(config),
        "sparse": experts(config, group_score="two", **groups, **SIGMOID),
    }
    types, kinds = layer_types(config, layers, pattern), mlp_types(config, layers, min(3, layers))
    blocks = {
        (kind, feed): Block(
            f"{'global' if kind == 'full_attention' else 'local'}_{feed}",
            (
                replace(sublayer("attention", mixers[kind], pre=norm, post=norm), depth_scaled=True),
                replace(sublayer("mlp", feeds[feed], pre=norm, post=norm), depth_scaled=True),
            ),
        )
        for kind in mixers
        for feed in feeds
    }
    tied = config.flag("tie_word_embeddings", True)
    cap = config.number("final_logit_softcapping")
    head = Head(config.size("vocab_size"), config.size("hidden_size"), TOKENS if tied else None, softcap=cap)
    order = (blocks[kind] for kind in zip(types, kinds, strict=True))
    return causal_lm(config, group_runs(order), norm, head=head)


def _beam_places(config: Config, kind: str) -> dict[str, Any]:
    """Rotary positions, or queries that grow with theirs where ``rope_parameters`` have none for a kind of layer."""
    given = config.get("rope_parameters")
    if given is None:
        given = {"full_attention": None}
    if not isinstance(given, dict):
        raise DescriptionError(f"rope_parameters is {shown(given)}; it is an object", where=config.where)
    if given.get(kind, given) is not None:
        return {"layer_type": kind}
    return {"positions": "none", "temperature": 0.1, "temperature_law": "power", "temperature_length": BEAM_STRETCH}


BEAM_STRETCH = 2048  # tokens, by which positions are measured

"""Decoders whose feed-forward layers are mixtures of experts."""

from __future__ import annotations

from ....core.architecture import Architecture, Block
from ....layers.head import Head
from ....layers.moe import Moe
from ..config import Config
from ..rope import dynamic_alpha_fields
from ..rules import (
    TOKENS,
    causal_lm,
    experts,
    gated_mlp,
    group_runs,
    hybrid_runs,
    layer_types,
    layernorm,
    local_global_attention,
    prenorm_block,
    repeat_block,
    rmsnorm,
    rope_attention,
    rotary_width,
    sliding_window,
    sublayer,
)


def mixtral(config: Config) -> Architecture:
    """Mixtral [jiang2024]: eight SwiGLU experts, two a token."""
    norm = rmsnorm(config, config.size("hidden_size"))
    attention = rope_attention(config, bias=False, window=sliding_window(config))
    block = prenorm_block(
        "block", norm, attention=attention, mlp=experts(config, "num_local_experts", "intermediate_size")
    )
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm)


def qwen3_moe(config: Config) -> Architecture:
    """Qwen3-MoE: a norm on each query and key head; some layers may be dense."""
    layers = config.size("num_hidden_layers")
    norm = rmsnorm(config, config.size("hidden_size"))
    limit = sliding_window(config)
    limit = limit if config.flag("use_sliding_window") else None
    config.ignore("qkv_bias use_qk_norm shared_expert_intermediate_size")  # keys of Qwen2-MoE, without effect here
    rounded = max(1, config.size("hidden_size") // config.size("num_attention_heads"))
    attention = rope_attention(config, d_head=config.optional_size("head_dim") or rounded, qk_norm="head", window=limit)
    sparse = prenorm_block("sparse", norm, attention=attention, mlp=experts(config))
    dense = prenorm_block("dense", norm, attention=attention, mlp=gated_mlp(config))
    chosen = sparse_layers(config, layers)
    return causal_lm(config, group_runs(sparse if index in chosen else dense for index in range(layers)), norm)


def qwen2_moe(config: Config) -> Architecture:
    """Qwen1.5-MoE, Qwen2-MoE: experts with a gated shared one; every second of the lower layers may have a window."""
    layers = config.size("num_hidden_layers")
    sliding = config.flag("use_sliding_window")
    limit = sliding_window(config) if sliding else None
    config.get("sliding_window")
    first = config.count("max_window_layers", layers)
    pattern = [
        "sliding_attention" if sliding and index % 2 == 0 and index < first else "full_attention"
        for index in range(layers)
    ]
    biased = config.flag("qkv_bias", True)
    mixers = local_global_attention(config, limit, bias=False, q_bias=biased, k_bias=biased, v_bias=biased)
    shared = config.optional_size("shared_expert_intermediate_size", zero_is_none=True)
    feeds = {"sparse": experts(config, d_ff_shared=shared, shared_gate=True), "dense": gated_mlp(config)}
    chosen = sparse_layers(config, layers)
    kinds = ["sparse" if index in chosen else "dense" for index in range(layers)]
    norm = rmsnorm(config, config.size("hidden_size"))
    return causal_lm(
        config, hybrid_runs(norm, mixers, feeds, zip(layer_types(config, layers, pattern), kinds, strict=True)), norm
    )


def minimax_m2(config: Config) -> Architecture:
    """MiniMax-M2: norms over the whole width of queries and keys, sigmoid routing."""
    norm = rmsnorm(config, config.size("hidden_size"))
    config.get("partial_rotary_factor")
    config.ignore("num_mtp_modules mtp_transformer_layers use_mtp")  # never built by the class
    config.ignore("attn_type_list use_qk_norm qk_norm_type shared_intermediate_size use_routing_bias")  # always so
    attention = rope_attention(config, bias=False, qk_norm="projection", rotary_dim=_rotary_m2(config))
    feed = experts(config, "num_local_experts", "intermediate_size", router="sigmoid", correction_bias="buffer")
    block = prenorm_block("block", norm, attention=attention, mlp=feed)
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm)


def _rotary_m2(config: Config) -> int:
    return config.optional_size("rotary_dim") or rotary_width(config)


SPARSE_MIXER = 2  # experts that SparseMixer [liu2023] takes


def phimoe(config: Config) -> Architecture:
    """Phi-3.5-MoE: LayerNorm, biases on request, a head with a bias on request."""
    width = config.size("hidden_size")
    norm = layernorm(config, width, "rms_norm_eps")
    config.ignore("input_jitter_noise")  # of training
    attention = rope_attention(config, window=sliding_window(config))
    # the class's sampler takes two experts whatever the config says
    tolerance = config.number("router_jitter_noise", 0.0)
    feed = experts(config, "num_local_experts", "intermediate_size", top_k_run=SPARSE_MIXER, mixer_tolerance=tolerance)
    if feed.top_k != SPARSE_MIXER:
        config.add_unmodelled(f"num_experts_per_tok is {feed.top_k}, where the class takes {SPARSE_MIXER}")
    tied = config.flag("tie_word_embeddings", True)
    head = Head(config.size("vocab_size"), width, TOKENS if tied else None, bias=config.flag("lm_head_bias"))
    block = prenorm_block("block", norm, attention=attention, mlp=feed)
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm, head=head)


def olmoe(config: Config) -> Architecture:
    """OLMoE [muennighoff2024]: norms over the whole width of queries and keys."""
    norm = rmsnorm(config, config.size("hidden_size"))
    attention = rope_attention(config, qk_norm="projection", clip=config.number("clip_qkv"))
    block = prenorm_block("block", norm, attention=attention, mlp=experts(config, width="intermediate_size"))
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm)


def flex_olmo(config: Config) -> Architecture:
    """FlexOlmo: OLMoE with its norms behind attention and experts instead of before them."""
    norm = rmsnorm(config, config.size("hidden_size"))
    attention = sublayer("attention", rope_attention(config, qk_norm="projection"), post=norm)
    block = Block("block", (attention, sublayer("mlp", experts(config, width="intermediate_size"), post=norm)))
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm)


def hunyuan_v1_moe(config: Config) -> Architecture:
    """Hunyuan-Large and A13B: one shared expert of the routed ones' width, a norm on each query and key head."""
    norm, width = rmsnorm(config, config.size("hidden_size")), config.size("intermediate_size")
    attention = rope_attention(config, qk_norm="head", qk_norm_late=True, **dynamic_alpha_fields(config))
    feed = experts(config, width="intermediate_size", d_ff_shared=width)
    block = prenorm_block("block", norm, attention=attention, mlp=feed)
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), norm)


def sparse_layers(config: Config, layers: int) -> set[int]:
    """The layers with experts: every ``decoder_sparse_step``-th, but for ``mlp_only_layers``."""
    step, dense = config.size("decoder_sparse_step", 1), set(config.layer_indices("mlp_only_layers"))
    if config.get("num_experts") == 0:
        return set()
    return {index for index in range(layers) if (index + 1) % step == 0 and index not in dense}


SWIGLU_ALPHA = 1.702  # of x · sigmoid(α x), as the quick form of gelu has it


def gpt_oss(config: Config) -> Architecture:
    """gpt-oss: sinks, biases everywhere, clamped SwiGLU, alternating windows."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm = rmsnorm(config, width)
    config.ignore("hidden_act experts_per_token initial_context_length")
    config.unmodelled_unless("swiglu_alpha", SWIGLU_ALPHA)
    feed = Moe(
        width,
        config.size("intermediate_size"),
        config.size("num_local_experts"),
        config.size("num_experts_per_tok"),
        "quick_gelu",  # x · sigmoid(1.702 x), which the class writes out whatever hidden_act says
        clamp=config.number("swiglu_limit"),
        up_offset=1.0,
        expert_bias=True,
        router_bias=True,
        renormalise=True,
    )
    kinds = {
        name: prenorm_block(label, norm, attention=rope_attention(config, sinks=True, window=span), mlp=feed)
        for name, label, span in (
            ("sliding_attention", "local", sliding_window(config)),
            ("full_attention", "global", None),
        )
    }
    pattern = ["full_attention" if index % 2 else "sliding_attention" for index in range(layers)]
    return causal_lm(config, group_runs(kinds[kind] for kind in layer_types(config, layers, pattern)), norm)

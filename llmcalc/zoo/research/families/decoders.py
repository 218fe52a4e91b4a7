"""Decoders with unusual attention or experts: DiffLLaMA, Doge, JetMoE, MiniMax-01, xLSTM and Yuan."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Branch, Sublayer
from ....importers.hf.config import Config, Layers
from ....importers.hf.rules import (
    causal_lm,
    decoder,
    extend_attention,
    map_sublayers,
    prenorm_block,
    repeat_block,
    sublayer,
)
from ....layers import Head, Mlp, Moe, Norm, Routing, Scale
from ..layers.differential_attention import DifferentialAttention
from ..layers.dynamic_attention import DynamicAttention
from ..layers.filtered_attention import FilteredAttention
from ..layers.lightning_attention import LightningAttention
from ..layers.mlstm import Mlstm
from ..layers.product_key_experts import ProductKeyExperts
from ..layers.routed_attention import RoutedAttention

_KERNELS = (
    "chunkwise_kernel sequence_kernel step_kernel mode return_last_states autocast_kernel_dtype "
    "inference_state_dtype norm_reduction_force_float32 max_inference_chunksize num_hidden_layers hidden_size "
    "add_out_norm tie_word_embeddings"  # the class always has this norm, and never ties embeddings
)


def diffllama(config: Config) -> Architecture:
    """Read a DiffLLaMA config with differential attention [ye2024]."""
    config.ignore("lambda_std_dev")
    eps = config.rmsnorm().eps
    return decoder(config, extend_attention(DifferentialAttention, config.attention(), pair_norm_eps=eps))


def doge(config: Config) -> Architecture:
    """Read a Doge config with dynamic mask attention, scaled residuals, and optional single-neuron experts."""
    width, bias = config.d_model, config.flag("mlp_bias")
    norm, scale = config.rmsnorm(), Scale(width, "residual")
    plain = config.attention(qk_norm="head", window=config.sliding_window())
    attention = extend_attention(DynamicAttention, plain, keep_window=config.size("keep_window_size"))
    feeds = [Branch("mlp", config.gated_mlp(bias=bias))]
    if config.flag("is_moe"):
        n_experts, top_k = config.size("num_experts"), config.size("num_experts_per_tok")
        renormalise = config.flag("norm_topk_prob")
        feeds.append(
            Branch("peer", ProductKeyExperts(width, n_experts, top_k, config.activation(), renormalise, together=True))
        )
    config.ignore("num_experts num_experts_per_tok")
    parts = (sublayer("attention", attention, pre=norm, after=scale), Sublayer("mlp", tuple(feeds), norm, after=scale))
    return causal_lm(config, repeat_block(Block("block", parts), config.n_layers), norm)


def jetmoe(config: Config) -> Architecture:
    """Read a JetMoE config [shen2024]. Attention and feed-forward layers both have experts and an output bias."""
    config.ignore("num_attention_heads")  # number of key/value heads times experts per token
    n_experts, top_k = config.size("num_local_experts"), config.size("num_experts_per_tok")
    attention = RoutedAttention(
        config.d_model,
        config.size("num_key_value_heads"),
        config.size("kv_channels"),
        n_experts,
        top_k,
        out_bias=True,
        rope=config.rope(),
    )
    act = config.activation("activation_function")
    routing = Routing(renormalise=True)
    feed = Moe(config.d_model, config.size("intermediate_size"), n_experts, top_k, act, routing=routing, out_bias=True)
    inner = Norm(config.d_model, "rmsnorm", eps=1e-6)  # regardless of the config
    block = prenorm_block("block", inner, attention=attention, mlp=feed)
    return causal_lm(config, repeat_block(block, config.n_layers), config.rmsnorm())


def minimax(config: Config) -> Architecture:
    """Read a MiniMax-Text-01 config with lightning attention in some layers and softmax attention in other layers."""
    config.get("sliding_window")  # the class masks tokens but caches all of them
    softmax = config.attention(bias=False)
    mixers: Layers = {
        "full_attention": softmax,
        "linear_attention": LightningAttention(
            config.d_model,
            softmax.n_heads,
            softmax.d_head or 0,
            config.size("block_size"),
            activation=config.activation(),
        ),
    }
    routed = config.experts("num_local_experts", "intermediate_size")
    types = config.layer_types(config.periodic_types(2, 1, "full_attention", "linear_attention"))
    factors = {
        name: (config.number(f"{name}_alpha_factor", 1.0) or 0.0, config.number(f"{name}_beta_factor", 1.0) or 0.0)
        for name in ("full_attn", "linear_attn", "mlp")
    }

    def weighed(part: Sublayer) -> Sublayer:
        """Return a sub-layer that adds its scaled output to its scaled normalised input."""
        kind = part.branches[0].layer.kind()
        kept, added = factors[{"attention": "full_attn", "lightning_attention": "linear_attn"}.get(kind, "mlp")]
        return replace(part, residual_normed=True, residual_scale=kept, scale=added)

    return map_sublayers(decoder(config, mixers, routed, types), weighed)


def minimax_text_01(config: Config) -> Architecture:
    """Read a MiniMax-Text-01 or MiniMax-M1 config [minimax2025], in which 0 and 1 encode the attention types."""
    kinds = config.layer_indices("attn_type_list")
    if set(kinds) - {0, 1} or len(kinds) != config.n_layers:
        raise config.size_error("attn_type_list must have one 0 (linear) or 1 (softmax) per layer")
    config.override("layer_types", ["full_attention" if kind else "linear_attention" for kind in kinds])
    if config.count("shared_intermediate_size") or not config.flag("postnorm", True):
        raise config.error("shared experts and postnorm: false are not supported")
    config.ignore("shared_moe_mode layernorm_type rotary_dim")
    config.add_unmodelled(
        "unlike transformers' MiniMax, this class rotates only part of each head and uses different projections"
    )
    return minimax(config)


def xlstm(config: Config) -> Architecture:
    """Read an xLSTM-Large config [beck2025] with separate or fused weights. A SwiGLU layer follows each mLSTM."""
    width, biased = config.optional_size("hidden_size") or config.size("embedding_dim"), config.flag("use_bias")
    config.ignore(_KERNELS)
    if (config.optional_size("embedding_dim") or width) != width:
        raise config.error("embedding_dim must equal hidden_size")
    eps, fused = config.number("norm_eps") or 1e-6, config.string("weight_mode")
    if fused not in ("single", "fused"):
        raise config.invalid("weight_mode", "single or fused", fused)
    mlstm = Mlstm(
        width,
        config.size("num_heads"),
        int(width * (config.number("qk_dim_factor") or 0)),
        int(width * (config.number("v_dim_factor") or 0)),
        config.size("chunk_size"),
        biased,
        gate_softcap=config.number("gate_soft_cap"),
        norm_eps=eps,
        eps=config.number("eps") or 1e-6,
    )
    multiple = config.size("ffn_round_up_to_multiple_of")
    d_ff = int((width * (config.number("ffn_proj_factor") or 0) + multiple - 1) // multiple * multiple)
    mlp = Mlp(width, d_ff, "silu", gated=True, bias=biased)
    block = prenorm_block("block", Norm(width, bias=biased, eps=eps), mlstm=mlstm, mlp=mlp)
    layers = config.optional_size("num_blocks") or config.n_layers
    head = Head(config.vocab, width, softcap=config.number("output_logit_soft_cap"))
    found = causal_lm(config, repeat_block(block, layers), Norm(width, eps=eps), head=head, tied=False)
    return replace(found, layout="xlstm_fused") if fused == "fused" else found


def yuan(config: Config) -> Architecture:
    """Read a Yuan 2.0 config [wu2023yuan], whose queries and keys read filtered tokens."""
    config.ignore("causal_mask max_position_embeddings reset_attention_mask reset_position_ids use_loss_mask")
    if config.flag("use_shareqk"):
        raise config.error("use_shareqk is not supported")
    attention = config.layer(FilteredAttention, "n_heads=num_attention_heads", rope=config.rope())
    block = prenorm_block("block", config.rmsnorm(), attention=attention, mlp=config.gated_mlp())
    return causal_lm(config, repeat_block(block, config.n_layers), config.rmsnorm())

"""DeepSeek-V2 and V3: multi-head latent attention, shared experts, dense first layers."""

from __future__ import annotations

from ....core.architecture import Architecture
from ....core.errors import SizeError
from ....layers.mla import Mla
from ....layers.moe import Moe
from ..config import Config
from ..rules import causal_lm, glu, grouped, prenorm_block, rmsnorm


def deepseek_v3(config: Config) -> Architecture:
    """DeepSeek-V3 and R1, Kimi-K2 [deepseek2024v3]: sigmoid routing with a correction bias, which is a buffer."""
    return _deepseek(config, router="sigmoid", correction_bias="buffer")


def deepseek_v2(config: Config) -> Architecture:
    """DeepSeek-V2 [deepseek2024v2]: softmax routing; ``mlp_bias`` goes to dense and shared layers."""
    bias = config.flag("mlp_bias")
    return _deepseek(config, shared_bias=bias)


def mla(config: Config) -> Mla:
    """Latent attention in the keys of the DeepSeek configs."""
    config.ignore("num_key_value_heads head_dim")
    nope, rope = config.size("qk_nope_head_dim"), config.size("qk_rope_head_dim")
    if (config.optional_size("qk_head_dim") or nope + rope) != nope + rope:
        raise SizeError(f"qk_head_dim is not qk_nope_head_dim + qk_rope_head_dim ({nope} + {rope})", where=config.where)
    return Mla(
        config.size("hidden_size"),
        config.size("num_attention_heads"),
        config.size("kv_lora_rank"),
        nope,
        rope,
        config.size("v_head_dim"),
        q_lora_rank=config.optional_size("q_lora_rank"),
        bias=config.flag("attention_bias"),
        rope_theta=config.rope_theta(),
    )


def _deepseek(config: Config, shared_bias: bool = False, **routing: object) -> Architecture:
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    norm, attention = rmsnorm(config, width), mla(config)
    n_experts, expert_width = config.size("n_routed_experts"), config.size("moe_intermediate_size")
    n_shared = config.count("n_shared_experts")
    config.ignore("num_mtp_layers num_routed_experts num_shared_experts")  # prediction modules are never built by the class
    experts = Moe(
        width,
        expert_width,
        n_experts,
        config.size("num_experts_per_tok"),
        config.activation(),
        n_groups=config.size("n_group", 1),
        top_groups=config.size("topk_group", 1),
        d_ff_shared=n_shared * expert_width or None,
        shared_bias=shared_bias,
        **routing,  # type: ignore[arg-type]
    )
    dense = prenorm_block("dense", norm, attention=attention, mlp=glu(config, bias=shared_bias))
    sparse = prenorm_block("sparse", norm, attention=attention, mlp=experts)
    first, period = config.count("first_k_dense_replace"), config.size("moe_layer_freq", 1)
    order = (sparse if index >= first and index % period == 0 else dense for index in range(layers))
    return causal_lm(config, grouped(order), norm)

"""DeepSeek-V2 and V3 and their kin: multi-head latent attention, shared experts, dense first layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block
from ....core.layer import Layer
from ....layers.mla import Mla
from ....layers.moe import Moe
from ..config import Config
from ..rope import query_temperature, rope_fields, scaling_parameters, yarn_attention_factor
from ..rules import (
    causal_lm,
    divide_by_heads,
    experts,
    gated_mlp,
    hybrid_runs,
    lm_head,
    mlp_types,
    prenorm_block,
    repeat_block,
    rmsnorm,
    rope_attention,
    sublayer,
)


def deepseek_v3(config: Config) -> Architecture:
    """DeepSeek-V3 and R1, Kimi-K2 [deepseek2024v3]: sigmoid routing with a correction bias, which is a buffer."""
    return _lm(config, mla(config), shared_experts(config), dense_first(config))


def deepseek_v2(config: Config) -> Architecture:
    """DeepSeek-V2 [deepseek2024v2]: softmax routing; ``mlp_bias`` goes to dense and shared layers."""
    return _all_if_open(config, _lm(config, mla(config), softmax_experts(config), dense_first(config), _biased(config)))


def deepseek_ocr(config: Config) -> Architecture:
    """DeepSeek-OCR 2 and Unlimited-OCR: DeepSeek-V2's experts behind grouped-query attention."""
    kinds = mlp_types(config, config.size("num_hidden_layers"), config.count("first_k_dense_replace", 1))
    config.ignore("head_dim")  # the class divides hidden_size by the heads
    config.ignore("layer_types")
    attention = rope_attention(
        config, d_head=divide_by_heads(config, config.size("hidden_size"), config.size("num_attention_heads"))
    )
    built = _all_if_open(config, _lm(config, attention, softmax_experts(config), kinds, _biased(config)))
    window = config.optional_size("sliding_window")
    if window is None:
        return built
    note = f"a generated token sees the prompt and {window} generated ones: here a text is all prompt, and seen whole"
    return replace(built, notes=(*built.notes, note))


def softmax_experts(config: Config) -> Moe:
    """Routed and shared experts, routed as in DeepSeek-V2."""
    greedy: dict[str, Any] = (
        {"n_groups": 1, "top_groups": 1} if config.string("topk_method", "greedy") == "greedy" else {}
    )
    fields = {"router": "softmax", "correction_bias": "none", "group_score": "best", "renormalise": False} | greedy
    chosen = config.optional_size("num_experts_per_tok") or config.size("n_routed_experts")
    return shared_experts(config, shared_bias=_biased(config), top_k=chosen, **fields)


def _biased(config: Config) -> bool:
    return config.flag("mlp_bias")


def _all_if_open(config: Config, built: Architecture) -> Architecture:
    """A note where nothing says how many experts a token uses."""
    if config.optional_size("num_experts_per_tok"):
        return built
    return replace(built, notes=("num_experts_per_tok is not given: a token is taken to use all experts",))


def mistral4(config: Config) -> Architecture:
    """Mistral Small 4: DeepSeek-V3 with softmax routing and queries that are sharpened with their position."""
    routed = shared_experts(config, router="softmax", correction_bias="none")
    config.ignore("head_dim")
    return _lm(config, mla(config, **query_temperature(config)), routed, dense_first(config))


def glm4_moe_lite(config: Config) -> Architecture:
    """GLM-4.7-Flash: DeepSeek-V3 with a list of dense and sparse layers."""
    kinds = mlp_types(config, config.size("num_hidden_layers"), 1)
    return _lm(config, mla(config), shared_experts(config), kinds)


def youtu(config: Config) -> Architecture:
    """Youtu-LLM: latent attention and dense layers."""
    config.ignore("embedding_initializer_range")
    config.ignore("n_shared_experts n_routed_experts moe_intermediate_size first_k_dense_replace num_experts_per_tok")
    block = prenorm_block(
        "block", _norm(config), attention=mla(config), mlp=gated_mlp(config, bias=config.flag("mlp_bias"))
    )
    return causal_lm(config, repeat_block(block, config.size("num_hidden_layers")), _norm(config))


def minicpm3(config: Config) -> Architecture:
    """MiniCPM3: latent attention and dense layers, scaled embeddings and residuals."""
    layers, width = config.size("num_hidden_layers"), config.size("hidden_size")
    value = config.optional_size("v_head_dim") or config.size("hidden_size") // config.size("num_attention_heads")
    attention = mla(config, v_head_dim=value, rope_interleaved=False)
    depth = (config.number("scale_depth") or 1.0) / layers**0.5
    mlp = gated_mlp(config, bias=config.flag("mlp_bias"))
    parts = {"attention": attention, "mlp": mlp}.items()
    block = Block("block", tuple(sublayer(name, layer, pre=_norm(config), scale=depth) for name, layer in parts))
    head = lm_head(config, input_scale=(config.number("dim_model_base") or width) / width)
    scale = config.number("scale_emb", 1.0)
    return causal_lm(config, repeat_block(block, layers), _norm(config), head=head, embedding_scale=scale or 1.0)


def glm4_moe(config: Config) -> Architecture:
    """GLM-4.5: grouped-query attention with DeepSeek-V3's experts; half of a head is rotated."""
    return _glm(config, 0.5)


def sarvam_moe(config: Config) -> Architecture:
    """Sarvam-30B: GLM-4.5 whose heads are rotated as a whole."""
    return _glm(config, 1.0)


def _glm(config: Config, rotated: float) -> Architecture:
    norm = "head" if config.flag("use_qk_norm") else "none"
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    head = config.optional_size("head_dim") or max(1, width // heads)  # the class rounds down
    rotary = max(1, int(head * config.partial_rotary(rotated)))
    attention = rope_attention(config, o_bias=False, qk_norm=norm, d_head=head, rotary_dim=rotary)
    return _lm(config, attention, shared_experts(config), dense_first(config))


def mla(config: Config, **changes: Any) -> Mla:
    """Latent attention in the keys of the DeepSeek configs."""
    config.ignore("num_key_value_heads head_dim q_head_dim")
    nope, rope = config.size("qk_nope_head_dim"), config.count("qk_rope_head_dim")
    config.check_computed("qk_head_dim", nope + rope)
    fields: dict[str, Any] = {
        "d_model": config.size("hidden_size"),
        "n_heads": config.size("num_attention_heads"),
        "kv_lora_rank": config.size("kv_lora_rank"),
        "qk_nope_head_dim": nope,
        "qk_rope_head_dim": rope,
        "v_head_dim": config.optional_size("v_head_dim"),
        "q_lora_rank": config.optional_size("q_lora_rank"),
        "bias": config.flag("attention_bias"),
        "rope_theta": config.rope_theta(),
        "rope_interleaved": config.flag("rope_interleave", True),
        "scale": _scale(config, nope + rope),
        **rope_fields(config),
    }
    return Mla(**{**fields, **changes})


def _scale(config: Config, width: int) -> float | None:
    """The factor on scores, sharpened where YaRN stretches the context; None: the usual one."""
    given = scaling_parameters(config)
    if not given.get("mscale_all_dim") or rope_fields(config).get("rope_scaling") != "yarn":
        return None
    return float(width**-0.5 * yarn_attention_factor(given["factor"], given["mscale_all_dim"]) ** 2)


def shared_experts(config: Config, **changes: Any) -> Moe:
    """Routed and shared experts in the keys of the DeepSeek configs, routed as in DeepSeek-V3."""
    # modules for multi-token prediction are never built by the classes
    config.ignore("num_mtp_layers num_nextn_predict_layers num_routed_experts num_shared_experts")
    shared = config.count("n_shared_experts") * config.size("moe_intermediate_size")
    fields: dict[str, Any] = {
        "router": "sigmoid",
        "correction_bias": "buffer",
        "group_score": "two",
        "n_groups": config.size("n_group", 1),
        "top_groups": config.size("topk_group", 1),
        "d_ff_shared": shared or None,
    }
    return experts(config, "n_routed_experts", **{**fields, **changes})


def dense_first(config: Config) -> list[str]:
    """Dense layers up to ``first_k_dense_replace``, then experts in every ``moe_layer_freq``-th."""
    first, period = config.count("first_k_dense_replace"), config.size("moe_layer_freq", 1)
    layers = config.size("num_hidden_layers")
    return ["sparse" if index >= first and index % period == 0 else "dense" for index in range(layers)]


def _lm(config: Config, attention: Layer, routed: Moe, kinds: Sequence[str], bias: bool = False) -> Architecture:
    feeds: dict[str, Layer] = {"dense": gated_mlp(config, bias=bias), "sparse": routed}
    order = (("attention", kind) for kind in kinds)
    return causal_lm(config, hybrid_runs(_norm(config), {"attention": attention}, feeds, order), _norm(config))


def _norm(config: Config) -> Layer:
    return rmsnorm(config, config.size("hidden_size"))

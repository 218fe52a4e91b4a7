"""GLM models from ChatGLM to GLM-5."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block
from ....layers import Mlp
from ..config import Config, Fields, Layers
from ..rules import causal_lm, decoder, repeat_block, sublayer
from .deepseek import dense_first, indexed_lm, indexed_mla, indexer_types, mla, shared_experts

_THETA = 10000.0
_CHATGLM_ARITHMETIC = """
    apply_query_key_layer_scaling attention_softmax_in_fp32 fp32_residual_connection bias_dropout_fusion original_rope
    kv_channels prefix_projection quantization_bit seq_length
"""


def chatglm(config: Config) -> Architecture:
    """Read a ChatGLM2, ChatGLM3 or GLM-4 config [glm2024] in the original format, with half of each head rotated."""
    config.check_flags(rmsnorm=True, post_layer_norm=True, apply_residual_connection_post_layernorm=False)
    config.ignore(_CHATGLM_ARITHMETIC)
    _warn_of_prefix(config)
    bias, theta = config.flag("add_bias_linear"), _THETA * (config.number("rope_ratio") or 1.0)
    pairs = config.size("multi_query_group_num") if config.flag("multi_query_attention") else config.n_heads
    rope = {"theta": theta, "dim": config.size("head_dim") // 2, "interleaved": True}
    attention = config.attention(bias=bias or config.flag("add_qkv_bias"), o_bias=bias, n_kv_heads=pairs, rope=rope)
    mlp = Mlp(config.d_model, config.size("intermediate_size"), "silu", gated=True, bias=bias)
    return decoder(config, attention, mlp, tied=config.flag("tie_word_embeddings"))


def _warn_of_prefix(config: Config) -> None:
    """Warn about the keys and values of a prefix, which prompt tuning trains for each layer."""
    length = config.optional_size("pre_seq_len")
    if length is not None:
        config.warnings.append(f"the trained prefix of {length} tokens (pre_seq_len) is not counted")


def chatglm_6b(config: Config) -> Architecture:
    """Read a ChatGLM-6B config [du2021], whose scaled residual stream consists of normalised inputs.

    Half of each head is rotated by the position of a token in its part of the sequence, and half by that of the part.
    """
    config.ignore("max_sequence_length quantization_bit prefix_projection")
    _warn_of_prefix(config)
    config.unmodelled_unless("position_encoding_2d", False)
    norm, scale = config.layernorm(), (2 * config.n_layers) ** 0.5
    parts: Layers = {
        "attention": config.attention(bias=True),
        "mlp": Mlp(config.d_model, config.size("intermediate_size"), "gelu_tanh", bias=True),
    }
    settings: Fields = {"pre": norm, "residual_normed": True, "residual_scale": scale}
    block = Block("block", tuple(sublayer(name, layer, **settings) for name, layer in parts.items()))
    return causal_lm(config, repeat_block(block, config.n_layers), norm, tied=config.flag("tie_word_embeddings"))


def glm(config: Config) -> Architecture:
    """Read a GLM-4-9B config [glm2024]."""
    return _glm(config, "pre")


def glm4(config: Config) -> Architecture:
    """Read a GLM-4-0414 config with norms before and after each sub-layer."""
    return _glm(config, "sandwich")


def glm_ocr(config: Config) -> Architecture:
    """Read the language model config of GLM-OCR. The model is GLM-4-0414 with fully rotated heads and no biases."""
    return _glm(config, "sandwich", bias=False, rotated=1.0)


def _glm(config: Config, place: str, bias: bool | None = None, rotated: float = 0.5) -> Architecture:
    biased = config.flag("attention_bias", True) if bias is None else bias
    rope = {"dim": config.rotary_width(rotated), "interleaved": True}
    return decoder(config, config.attention(bias=biased, o_bias=False, rope=rope), place=place)


def glm_image(config: Config) -> Architecture:
    """Read the language model config of GLM-Image. The model is GLM-4 with a head that predicts only image tokens."""
    config.ignore("vision_vocab_size")
    return glm4(config)


def glm4_moe(config: Config) -> Architecture:
    """Read a GLM-4.5 config with grouped-query attention, half-rotated heads and DeepSeek-V3's experts."""
    return _glm_moe(config, 0.5)


def sarvam_moe(config: Config) -> Architecture:
    """Read a Sarvam-30B config. The model is GLM-4.5 with fully rotated heads."""
    return _glm_moe(config, 1.0)


def _glm_moe(config: Config, rotated: float) -> Architecture:
    norm = "head" if config.flag("use_qk_norm") else "none"
    head = config.optional_size("head_dim") or max(1, config.d_model // config.n_heads)  # the class rounds down
    rotary = max(1, int(head * config.partial_rotary(rotated)))
    attention = config.attention(o_bias=False, qk_norm=norm, d_head=head, rope={"dim": rotary})
    return decoder(config, attention, shared_experts(config), feeds=dense_first(config))


def glm4_moe_lite(config: Config) -> Architecture:
    """Read a GLM-4.7-Flash config. The model is DeepSeek-V3 with a list of dense and sparse layers."""
    return decoder(config, mla(config), shared_experts(config), feeds=config.mlp_types(1))


def glm_moe_dsa(config: Config) -> Architecture:
    """Read a GLM-5 config as DeepSeek-V3.2. Since GLM-5.2, some layers reuse an earlier layer's token selection."""
    kinds = config.mlp_types(config.count("first_k_dense_replace", 3))
    full = indexed_mla(config, {"interleaved": True})
    mixers: Layers = {"full": full, "shared": replace(full, indexer=None)}
    return indexed_lm(config, mixers, indexer_types(config, config.n_layers), kinds)

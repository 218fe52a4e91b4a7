"""Models whose classes were published with their checkpoints, and not in the library: dense ones."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture
from ....core.errors import DescriptionError, SizeError
from ....layers.mlp import Mlp
from ..config import Config
from ..decoder import decoder
from ..rules import layernorm, lm_head, rope_attention
from .llama import llama

_THETA = 10000.0
_ROPE_WIDTH = 4096  # of the only Baichuan models with rotary positions; wider ones have ALiBi
_NORMED_VOCAB = 125696  # of Baichuan 2, whose head scales its rows to length 1


def mimo(config: Config) -> Architecture:
    """MiMo [xiaomi2025]: Qwen2, and a module for multi-token prediction beside it."""
    config.ignore("num_nextn_predict_layers use_sliding_window sliding_window max_window_layers")
    biased = config.flag("attention_bias", True)
    return decoder(config, attention=rope_attention(config, bias=biased, o_bias=False))


def chatglm(config: Config) -> Architecture:
    """ChatGLM2, ChatGLM3 and GLM-4 [glm2024] in their own class: half of each head is rotated, in pairs."""
    for key, usual in _CHATGLM.items():
        if config.flag(key, usual) != usual:
            raise DescriptionError(f"{key} is not {str(usual).lower()}, which is not described", where=config.where)
    config.ignore(_CHATGLM_ARITHMETIC)
    grouped, heads = config.flag("multi_query_attention"), config.size("num_attention_heads")
    head, bias = config.size("head_dim"), config.flag("add_bias_linear")
    attention = rope_attention(
        config,
        bias=bias or config.flag("add_qkv_bias"),
        o_bias=bias,
        n_kv_heads=config.size("multi_query_group_num") if grouped else heads,
        rotary_dim=head // 2,
        rope_theta=_THETA * (config.number("rope_ratio") or 1.0),
        rope_interleaved=True,
    )
    mlp = Mlp(config.size("hidden_size"), config.size("intermediate_size"), "silu", gated=True, bias=bias)
    return decoder(config, attention=attention, mlp=mlp, tied=config.flag("tie_word_embeddings"))


_CHATGLM = {"rmsnorm": True, "post_layer_norm": True, "apply_residual_connection_post_layernorm": False}
_CHATGLM_ARITHMETIC = """
    apply_query_key_layer_scaling attention_softmax_in_fp32 fp32_residual_connection bias_dropout_fusion original_rope
    kv_channels pre_seq_len prefix_projection quantization_bit seq_length
"""


def baichuan(config: Config) -> Architecture:
    """Baichuan and Baichuan 2 [yang2023]: LLaMA; the 13B models have ALiBi in place of rotary positions."""
    config.ignore("model_max_length z_loss_weight")
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    if config.size("vocab_size") == _NORMED_VOCAB:
        config.add_unmodelled("its head scales the rows of its matrix to length 1, which the NumPy model does not")
    changes: dict[str, Any] = {} if width == _ROPE_WIDTH else {"positions": "alibi"}
    attention = rope_attention(config, bias=False, n_kv_heads=heads, **changes)
    return decoder(config, attention=attention, tied=config.flag("tie_word_embeddings"))


def internlm2(config: Config) -> Architecture:
    """InternLM and InternLM 2 [cai2024internlm]: LLaMA with one flag for biases on all projections of attention."""
    config.ignore("attn_implementation")
    return llama(config)


def qwen(config: Config) -> Architecture:
    """The first Qwen [bai2023]: biases on queries, keys and values; ``intermediate_size`` is that of gate and up."""
    if not config.flag("no_bias", True):
        raise DescriptionError("no_bias is false, which is not described", where=config.where)
    config.ignore(_QWEN_RUNTIME)
    config.unmodelled_unless("use_dynamic_ntk use_logn_attn", neutral=False)
    config.unmodelled_unless("rotary_pct", neutral=1.0)
    heads, twice = config.size("num_attention_heads"), config.size("intermediate_size")
    if twice % 2:
        raise SizeError(f"intermediate_size ({twice}) is odd; gate and up share it", where=config.where)
    theta = config.number("rotary_emb_base") or 10000.0
    attention = rope_attention(config, bias=True, o_bias=False, n_kv_heads=heads, rope_theta=theta)
    mlp = Mlp(config.size("hidden_size"), twice // 2, "silu", gated=True)
    return decoder(config, attention=attention, mlp=mlp, tied=config.flag("tie_word_embeddings"))


_QWEN_RUNTIME = """
    bf16 fp16 fp32 onnx_safe seq_length softmax_in_fp32 use_flash_attn use_cache_kernel use_cache_quantization
    emb_dropout_prob attn_dropout_prob
"""


def minicpm(config: Config) -> Architecture:
    """MiniCPM [hu2024]: LLaMA whose embeddings, residuals and logits are scaled."""
    width, layers = config.size("hidden_size"), config.size("num_hidden_layers")
    scale = (config.number("scale_depth") or 1.0) / layers**0.5
    head = lm_head(config, input_scale=(config.number("dim_model_base") or width) / width)
    embedding = config.number("scale_emb") or 1.0
    return decoder(config, attention=rope_attention(config), head=head, scale=scale, embedding_scale=embedding)


def orion(config: Config) -> Architecture:
    """Orion-14B [chen2024orion]: LLaMA with LayerNorms."""
    norm = layernorm(config, config.size("hidden_size"), "rms_norm_eps")
    return decoder(config, norm=norm, attention=rope_attention(config), tied=config.flag("tie_word_embeddings"))

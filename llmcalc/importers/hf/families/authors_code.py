"""Decoders with well-known parts whose classes were published with their checkpoints and have keys of their own.

OLMo [groeneveld2024] in its authors' format, LLaDA [nie2025], which is based on the same code, TeleChat
[wang2024telechat], MiniMind and CodeShell [xie2024codeshell].
"""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....layers import Embedding, Mlp, Norm
from ....layers.parts.qk_norm import QkNorm
from ..config import Config, Fields
from ..rules import decoder
from .llama import original_decoder
from .llama_variants import with_token_rows

_OLMO_IGNORED = """
    residual_dropout flash_attention rope_full_precision alibi_bias_max init_device init_fn init_cutoff_factor precision
    max_position_embeddings block_group_size
"""
_OLMO_NORMS = {"default": "layernorm", "low_precision": "layernorm", "amd_compatible": "layernorm", "rms": "rmsnorm"}
DIFFUSION = "the model denoises all tokens at once and uses no cache; it is counted as a causal model"
_TELECHAT_IGNORED = """
    attention_softmax_in_fp32 bias_dropout_fusion masked_softmax_fusion skip_bias_add skip_bias_add_qkv slow_but_exact
    flash_attn seq_length n_inner max_position_embeddings
"""


def olmo(config: Config) -> Architecture:
    """Read an OLMo config in its authors' format. The two halves of one matrix are the up-projection and the gate."""
    if config.string("activation_type", "swiglu") != "swiglu":
        raise config.invalid("activation_type", "swiglu")
    config.one_of("block_type", "sequential")
    width = _olmo_width(config)
    if width % 2:
        raise config.size_error(f"the hidden width of an MLP with a gate must be even, not {width}")
    return _olmo(config, width // 2, "silu")


def llada(config: Config) -> Architecture:
    """Read a LLaDA config, in which the gate and the up-projection are two matrices."""
    config.one_of("block_type", "llama")
    config.add_unmodelled("the NumPy model does not support attention to later tokens")
    found = _olmo(config, _olmo_width(config), config.activation("activation_type"))
    return replace(found, notes=(*found.notes, DIFFUSION))


def _olmo_width(config: Config) -> int:
    """Return the output width of the first matrix of the MLP."""
    return config.size("intermediate_size", config.size("mlp_ratio", 4) * config.d_model)


def _olmo(config: Config, hidden: int, activation: str) -> Architecture:
    config.ignore(_OLMO_IGNORED)
    config.check_flags(rope=True, alibi=False, input_emb_norm=False, norm_after=False)
    config.unmodelled_unless("scale_logits", neutral=False)
    bias, grouped = config.flag("include_bias"), config.flag("multi_query_attention")
    biased = config.flag("include_qkv_bias") or bias
    norm = _olmo_norm(config, config.flag("layer_norm_with_affine", True), bias)
    fields: Fields = {"n_kv_heads": 1} if grouped else {}
    weighted = config.flag("attention_layer_norm_with_affine", True)
    if config.flag("attention_layer_norm"):
        bias_of_norm = weighted and norm.bias
        fields["qk_norm"] = QkNorm("projection", norm.function, bias=bias_of_norm, scale=weighted, eps=norm.eps)
    attention = config.attention(bias=biased, o_bias=bias, clip=config.number("clip_qkv"), **fields)
    mlp = Mlp(config.d_model, hidden, activation, gated=True, bias=bias)
    rows = config.optional_size("embedding_size") or config.vocab
    head = config.lm_head(tied=config.flag("weight_tying", True), bias=bias)
    return with_token_rows(decoder(config, attention, mlp, norm=norm, head=replace(head, vocab=rows)), rows)


def _olmo_norm(config: Config, weighted: bool, biased: bool) -> Norm:
    kind = config.one_of("layer_norm_type", *_OLMO_NORMS)
    eps = config.number("rms_norm_eps" if kind == "rms" else "layer_norm_eps") or 1e-5
    stated = biased if config.get("bias_for_layer_norm") is None else config.flag("bias_for_layer_norm")
    bias = weighted and stated and _OLMO_NORMS[kind] == "layernorm"
    return Norm(config.d_model, _OLMO_NORMS[kind], scale=weighted, bias=bias, eps=eps)


def telechat(config: Config) -> Architecture:
    """Read a TeleChat or TeleChat 2 config. The output projections of attention and of the MLP have biases."""
    config.ignore(_TELECHAT_IGNORED)
    config.check_flags(apply_residual_connection_post_layernorm=False, embed_layernorm=False)
    if config.get("base_seqlen") != config.get("training_seqlen"):
        config.add_unmodelled("the NumPy model does not support rotary positions whose base depends on the length")
    mlp = Mlp(config.d_model, config.size("intermediate_size"), "silu", gated=True, out_bias=True)
    return decoder(config, config.attention(bias=False, o_bias=True), mlp)


def minimind(config: Config) -> Architecture:
    """Read a MiniMind 1 or 2 config. Experts have the width of the dense MLP, and one of them may be shared."""
    config.ignore("flash_attn max_seq_len")
    width, step = config.d_model, config.size("multiple_of")
    hidden = config.optional_size("intermediate_size") or -(-(8 * width // 3) // step) * step
    if not config.flag("use_moe"):
        config.ignore("n_routed_experts num_experts_per_tok n_shared_experts")
        return original_decoder(config, Mlp(width, hidden, "silu", gated=True))
    config.one_of("scoring_func", "softmax")
    config.override("intermediate_size", hidden)
    shared = {"d_ff": hidden} if config.get("n_shared_experts") is not None else {}
    routed = config.experts("n_routed_experts", "intermediate_size", activation="silu", shared=shared)
    return original_decoder(config, routed)


def codeshell(config: Config) -> Architecture:
    """Read a CodeShell config. The model is GPT-BigCode with grouped queries and usually rotary positions."""
    config.ignore("attention_softmax_in_fp32 scale_attention_softmax_in_fp32 n_positions")
    rotary = config.one_of("position_embedding_type", "learned_absolute", "rope") == "rope"
    grouped = {} if config.flag("group_query_attention") else {"n_kv_heads": config.n_heads}
    fields: Fields = {**grouped, **({} if config.flag("scale_attn_weights") else {"scale": 1.0})}
    attention = config.attention(bias=True, rope={} if rotary else None, **fields)
    hidden = config.size("intermediate_size", 4 * config.d_model)
    rows = Embedding(config.size("max_position_embeddings"), config.d_model, table="position")
    inputs = () if rotary else (Named("position", rows),)
    mlp = Mlp(config.d_model, hidden, config.activation(), bias=True)
    return decoder(config, attention, mlp, norm=config.layernorm(), inputs=inputs)

"""The GPT-NeoX, Persimmon, BLOOM, Falcon and MPT model families."""

from __future__ import annotations

from dataclasses import replace
from itertools import filterfalse

from ....core.architecture import Architecture, Named
from ....layers import Attention, Mlp, Norm, Rope
from ....layers.parts.implementation import Implementation
from ....layers.score_biases.alibi import Alibi
from ..class_defaults import is_irrelevant
from ..config import BIASED, Config
from ..rules import decoder

_MPT_ATTENTION = ("multihead_attention", "multiquery_attention")
_MPT_KEYS = """
    alibi alibi_bias_max attn_impl attn_pdrop attn_type attn_uses_sequence_id clip_qkv is_encoder_decoder prefix_lm
    qk_ln softmax_scale
"""
_MPT_UNUSED = """
    expansion_ratio embedding_fraction init_device learned_pos_emb logit_scale max_seq_len no_bias norm_type emb_pdrop
"""


def _attention(config: Config, bias: bool, **changes: object) -> Attention:
    """Return multi-head attention after checking that the number of heads divides the model width."""
    biases = dict.fromkeys(BIASED, bias)
    fields = {"d_head": config.divide_by_heads(config.d_model, config.n_heads), **biases, **changes}
    return Attention(config.d_model, config.n_heads, **fields)  # type: ignore[arg-type]


def _rotated(config: Config, share: float) -> Rope:
    """Return rotary positions, read from the older GPT-NeoX keys or the current keys."""
    share = config.number("rotary_pct", share) or share
    theta = config.rope_theta(default=config.number("rotary_emb_base", 10000.0) or 10000.0)
    return config.rope(theta=theta, dim=config.rotary_width(share))


def gpt_neox(config: Config) -> Architecture:
    """Read a GPT-NeoX [black2022] or Pythia [biderman2023] config. By default, a quarter of each head is rotated."""
    attention = _attention(config, config.flag("attention_bias", True), rope=_rotated(config, 0.25))
    place = "parallel_two" if config.flag("use_parallel_residual", True) else "pre"
    config.ignore("is_decoder rotary_pct rotary_emb_base")
    return decoder(config, norm=config.layernorm(), attention=attention, mlp=config.plain_mlp(bias=True), place=place)


def gpt_neox_japanese(config: Config) -> Architecture:
    """Read a GPT-NeoX Japanese config. Only the last layer's attention output projection has a bias."""
    config.ignore("is_decoder rotary_pct rotary_emb_base")
    usual = _attention(config, bias=False, rope=_rotated(config, 1.0))
    kinds = {"block": usual, "last": replace(usual, o_bias=True)}
    mlp = Mlp(config.d_model, config.size("intermediate_multiple_size") * config.d_model, config.activation())
    order = ["block"] * (config.n_layers - 1) + ["last"]
    return decoder(config, norm=config.layernorm(), attention=kinds, mlp=mlp, order=order)


def persimmon(config: Config) -> Architecture:
    """Read a Persimmon config with squared ReLU and a LayerNorm on each query and key head."""
    chosen = config.qk_layernorm("head", bias=True) if config.flag("qk_layernorm", True) else {}
    attention = _attention(config, bias=True, rope=_rotated(config, 0.5), **chosen)
    return decoder(config, norm=config.layernorm(), attention=attention, mlp=config.plain_mlp(bias=True))


def bloom(config: Config) -> Architecture:
    """Read a BLOOM config [scao2022] with ALiBi and a norm after the embedding."""
    config.read_legacy("n_embed", "hidden_size")
    config.ignore("slow_but_exact")
    norm, attention = config.layernorm("layer_norm_epsilon"), _attention(config, bias=True, score_bias=Alibi())
    mlp = Mlp(config.d_model, 4 * config.d_model, "gelu_tanh", bias=True)
    place = "pre_normed" if config.flag("apply_residual_connection_post_layernorm") else "pre"
    return decoder(config, attention, mlp, norm=norm, place=place, inputs=(Named("table_norm", norm),))


def falcon(config: Config) -> Architecture:
    """Read a Falcon config [almazrouei2023] with multi-query or (in the new architecture) grouped-query attention."""
    config.read_legacy("n_embed", "hidden_size")
    grouped, bias = config.flag("new_decoder_architecture"), config.flag("bias")
    asked = config.optional_size("num_kv_heads") or config.n_heads
    multi_query = config.flag("multi_query", True)
    fields: dict[str, object] = {"n_kv_heads": asked if grouped else 1 if multi_query else config.n_heads}
    fields |= {"implementation": Implementation("query_heads")} if grouped else {}
    placed = {"score_bias": Alibi(config.divide_by_heads(config.d_model, config.n_heads) ** -0.5)}
    fields |= placed if config.flag("alibi") else {"rope": _rotated(config, 1.0)}
    activation = config.activation_name(config.string("activation"), "activation")
    mlp = Mlp(config.d_model, config.optional_size("ffn_hidden_size") or 4 * config.d_model, activation, bias=bias)
    n_norms = config.optional_size("num_ln_in_parallel_attn") or (2 if grouped else 1)
    parallel = "parallel_two" if n_norms == 2 else "parallel"
    place = parallel if config.flag("parallel_attn", True) else "pre"
    norm = config.layernorm("layer_norm_epsilon")
    return decoder(config, _attention(config, bias, **fields), mlp, norm=norm, place=place)


def mpt(config: Config) -> Architecture:
    """Read an MPT config with ALiBi and no biases. The transformers class ignores most flags."""
    config.ignore(_MPT_UNUSED)
    details = config.mapping("attn_config")
    config.check_known("attn_config key", filterfalse(is_irrelevant, details), _MPT_KEYS.split())
    config.check_known("attn_type", [str(details.get("attn_type", _MPT_ATTENTION[0]))], _MPT_ATTENTION)
    scores = {"clip": details.get("clip_qkv"), "scale": details.get("softmax_scale")}
    attention = _attention(config, bias=False, score_bias=Alibi(), **scores)
    norm = Norm(config.d_model, "layernorm", eps=config.number("layer_norm_epsilon") or 1e-5)
    return decoder(config, norm=norm, attention=attention, mlp=Mlp(config.d_model, 4 * config.d_model, "gelu"))

"""GPT-1 and GPT-2: learned positions, LayerNorm, biases everywhere."""

from __future__ import annotations

from typing import Any

from ....core.architecture import Architecture, Block, Named, Sublayer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.mlp import Mlp
from ..config import Config
from ..rules import causal_lm, layernorm, repeated, sublayer

BIASED: dict[str, Any] = {"q_bias": True, "k_bias": True, "v_bias": True, "o_bias": True}


def gpt2(config: Config) -> Architecture:
    """GPT-2 [radford2019], pre-norm; with cross-attention where the config asks for it."""
    width = config.size("n_embd")
    norm = layernorm(config, width, "layer_norm_epsilon")
    mlp = Mlp(width, config.optional_size("n_inner") or 4 * width, config.activation("activation_function"), bias=True)
    parts = [sublayer("attention", Attention(width, config.size("n_head"), **BIASED), pre=norm)]
    if config.flag("add_cross_attention"):
        parts.append(_unused_cross_attention(config, width, norm))
    parts.append(sublayer("mlp", mlp, pre=norm))
    runs = repeated(Block("block", tuple(parts)), config.size("n_layer"))
    return causal_lm(config, runs, norm, inputs=(_positions(config, width),))


def openai_gpt(config: Config) -> Architecture:
    """GPT-1 [radford2018], post-norm."""
    width = config.size("n_embd")
    norm = layernorm(config, width, "layer_norm_epsilon")
    mlp = Mlp(width, 4 * width, config.activation_named({"gelu": "gelu_new"}.get(config.word("afn"), config.word("afn"))), bias=True)
    attention = Attention(width, config.size("n_head"), **BIASED)
    block = Block("block", (sublayer("attention", attention, after=norm), sublayer("mlp", mlp, after=norm)))
    return causal_lm(config, repeated(block, config.size("n_layer")), None, inputs=(_positions(config, width),))


def _positions(config: Config, width: int) -> Named:
    return Named("position", Embedding(config.size("n_positions"), width, table="position"))


def _unused_cross_attention(config: Config, width: int, norm: object) -> Sublayer:
    """Cross-attention that is stored but, without an encoder, never run."""
    cross = Attention(width, config.size("n_head"), cross=True, causal=False, unused=True, **BIASED)
    return sublayer("cross_attention", cross, pre=norm)  # type: ignore[arg-type]

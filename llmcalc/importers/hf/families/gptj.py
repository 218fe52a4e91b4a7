"""GPT-J, CodeGen and CTRL: GPT-2's keys with rotary or sinusoidal positions, and a bias on the head."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.mlp import Mlp
from ..config import Config
from ..decoder import decoder
from ..rules import TOKENS, divide_by_heads, layernorm
from .gpt import BIASED


def gptj(config: Config) -> Architecture:
    """GPT-J [wang2021] and CodeGen [nijkamp2022]: attention and MLP side by side behind one norm."""
    width = config.size("n_embd")
    heads = config.size("n_head")
    head = divide_by_heads(config, width, heads)
    rotary = min(config.optional_size("rotary_dim") or head, head)
    attention = Attention(width, heads, positions="rope", rotary_dim=rotary, rope_interleaved=True)
    activation = config.activation("activation_function")
    mlp = Mlp(width, config.optional_size("n_inner") or 4 * width, activation, bias=True)
    norm = layernorm(config, width, "layer_norm_epsilon")
    return decoder(config, norm=norm, attention=attention, mlp=mlp, place="parallel", head=_head(config, width))


def ctrl(config: Config) -> Architecture:
    """CTRL [keskar2019]: pre-norm, sinusoidal positions."""
    width = config.size("n_embd")
    final = layernorm(config, width, "layer_norm_epsilon")
    position = Embedding(config.size("n_positions"), width, table="position", learned=False, sinusoids="halves")
    return decoder(
        config,
        norm=replace(final, eps=1e-6),  # whatever the config says
        final_norm=final,
        embedding_scale=width**0.5,
        attention=Attention(width, config.size("n_head"), **BIASED),
        mlp=Mlp(width, config.size("dff"), "relu", bias=True),
        inputs=(Named("position", position),),
        head=_head(config, width),
    )


def _head(config: Config, width: int) -> Head:
    tied = config.flag("tie_word_embeddings")
    return Head(config.size("vocab_size"), width, share=TOKENS if tied else None, bias=True)

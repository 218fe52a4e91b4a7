"""Language models within models that see or hear, of blocks of their own: KOSMOS and Voxtral Realtime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.mlp import Mlp
from ....zoo.audio.layers.modulation import Modulation
from ..config import Config
from ..rules import (
    TOKENS,
    causal_lm,
    gated_mlp,
    layernorm,
    prenorm_block,
    repeat_block,
    rmsnorm,
    rope_attention,
    sliding_window,
    sublayer,
)
from .gpt import BIASED

SEGMENTS = 2
MODULATED = 32  # hidden width of the network behind Voxtral's time


def kosmos(config: Config) -> Architecture:
    """KOSMOS-2 and 2.5 [peng2023kosmos]: norms within the sub-layers too, computed positions."""
    width, vocab, heads = config.size("embed_dim"), config.size("vocab_size"), config.size("attention_heads")
    norm, padding = layernorm(config, width), config.count("pad_token_id", 1)
    inner: dict[str, Any] = {"o_norm": True, "o_norm_function": "layernorm", "qk_norm_eps": norm.eps}
    within = inner if config.model_type == "kosmos_2_text_model" else {}
    layers: dict[str, Layer] = {"attention": Attention(width, heads, **within, **BIASED)}
    if config.flag("add_cross_attention"):
        layers["cross_attention"] = Attention(width, heads, causal=False, cross=True, unused=True, **BIASED)
    mlp = Mlp(width, config.size("ffn_dim"), config.activation("activation_function"), bias=True)
    layers["mlp"] = replace(mlp, inner_norm=True, inner_norm_function="layernorm", inner_norm_eps=norm.eps)
    places: dict[str, Any] = {"offset": padding + 1, "padding_id": padding, "learned": False, "sinusoids": "fairseq"}
    rows = config.size("max_position_embeddings") + padding + 1
    inputs: tuple[Named, ...] = (Named("position", Embedding(rows, width, "position", **places)),)
    if not within:  # text or image
        inputs = (*inputs, Named("segment", Embedding(SEGMENTS, width, "segment")))
    config.override("hidden_size", width)
    config.override("num_hidden_layers", config.size("layers"))
    blocks = repeat_block(prenorm_block("block", norm, **layers), config.size("layers"))
    scale = width**0.5 if config.flag("scale_embedding", True) else 1.0
    tied = config.flag("tie_word_embeddings", True)
    head = Head(vocab, width, TOKENS if tied else None)
    return causal_lm(config, blocks, norm, head=head, inputs=inputs, tied=tied, embedding_scale=scale)


def voxtral_realtime(config: Config) -> Architecture:
    """Voxtral Realtime's: Mistral's blocks, with factors before each feed-forward layer that its delay makes."""
    config.add_unmodelled("the delay that its factors are made of stands in the config of the whole")
    width, norm = config.size("hidden_size"), rmsnorm(config, config.size("hidden_size"))
    attention = rope_attention(config, bias=False, window=sliding_window(config))
    branch = Branch("mlp", gated_mlp(config), pre=Modulation(width, MODULATED))
    parts = (sublayer("attention", attention, pre=norm), Sublayer("mlp", (branch,), pre=norm))
    return causal_lm(config, repeat_block(Block("block", parts), config.size("num_hidden_layers")), norm)

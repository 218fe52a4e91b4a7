"""The vocabulary-free character encoder CANINE [clark2021]. Most of its layers process groups of characters."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack, Sublayer
from ....core.layer import Layer
from ....importers.hf.config import BIASED, Config
from ....importers.hf.families.bert import bert_mlp, encoder_model, norm_sublayer, pooler, without_head
from ....importers.hf.rules import sublayer
from ....layers import Attention, Embedding, SequenceRows
from ..layers.character_attention import CharacterAttention
from ..layers.character_embedding import CharacterEmbedding
from ..layers.character_pooling import CharacterPooling


def canine(config: Config) -> Architecture:
    """Read a CANINE config. The model has no head, and the position table has one row per hash bucket."""
    without_head(config)
    config.ignore("max_position_embeddings")
    width, heads, merge = (config.size(key) for key in ("hidden_size", "num_attention_heads", "downsampling_rate"))
    buckets, act, norm = config.size("num_hash_buckets"), config.activation(), config.layernorm(width=width)
    rows = SequenceRows(merge_whole=True) if merge > 1 else None
    grouped = replace(norm, merge=merge, sequence=rows)
    mlp = bert_mlp(config)
    wide = replace(mlp, merge=merge, sequence=rows)
    local = CharacterAttention(width, heads, chunk=config.size("local_transformer_stride"))
    whole = Attention(width, heads, causal=False, **BIASED)
    deep = CharacterAttention(width, heads, merge=merge)
    down = CharacterPooling(width, merge, activation=act, eps=norm.eps)
    up = CharacterPooling(width, merge, config.size("upsampling_kernel_size"), act, back=True, eps=norm.eps)
    runs = (
        Run(_block("initial_char_encoder.layer.0", local, mlp, norm), 1),
        Run(Block("down", (_sublayer_without_residual("down", down),)), 1),
        *(Run(_block(f"encoder.layer.{at}", deep, wide, grouped), 1) for at in range(config.n_layers)),
        Run(Block("up", (_sublayer_without_residual("up", up),)), 1),
        Run(_block("final_char_encoder.layer.0", whole, mlp, norm), 1),
    )
    inputs = (
        Named("token", CharacterEmbedding(buckets, config.size("num_hash_functions"), width)),
        Named("position", Embedding(buckets, width, table="position")),
        Named("segment", Embedding(config.size("type_vocab_size"), width, table="segment")),
        Named("norm", norm),
    )
    # pools the groups, in parallel with the characters
    return encoder_model(config, Stack("encoder", width, inputs, runs, (), "encoder"), [pooler(width, dropped=True)])


def _block(name: str, attention: Layer, mlp: Layer, norm: Layer) -> Block:
    """Return a post-norm block with the given name."""
    return Block(name, (norm_sublayer("attention", attention, norm, True), norm_sublayer("mlp", mlp, norm, True)))


def _sublayer_without_residual(name: str, layer: Layer) -> Sublayer:
    """Return a sub-layer without a residual connection."""
    return replace(sublayer(name, layer), residual=False)

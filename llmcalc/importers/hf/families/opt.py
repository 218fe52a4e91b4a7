"""OPT, BioGPT and XGLM: decoders after fairseq, with tables of positions that start two rows late."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Named
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.head import Head
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ..config import Config
from ..decoder import decoder
from ..rules import TOKENS, causal_lm, default_layernorm, repeat_block, sublayer
from .gpt import BIASED

_OFFSET = 2  # rows before the first position


def opt(config: Config) -> Architecture:
    """OPT [zhang2022]; the 350M model is post-norm, and its token table narrower than the model."""
    width, biased = config.size("hidden_size"), config.flag("enable_bias", True)
    affine, before = config.flag("layer_norm_elementwise_affine", True), config.flag("do_layer_norm_before", True)
    norm = replace(default_layernorm(width), scale=affine, bias=affine)
    without_final = config.flag("_remove_final_layer_norm")
    d_ff, activation = config.size("ffn_dim"), config.activation("activation_function")
    found = decoder(
        config,
        norm=norm,
        attention=Attention(width, config.size("num_attention_heads"), **dict.fromkeys(BIASED, biased)),  # type: ignore[arg-type]
        mlp=Mlp(width, d_ff, activation, bias=biased),
        place="pre" if before else "after",
        inputs=(_positions(config, width),),
        final=before and not without_final,
    )
    narrow = config.optional_size("word_embed_proj_dim") or width
    return found if narrow == width else _narrow_table(config, found, narrow)


def _narrow_table(config: Config, found: Architecture, narrow: int) -> Architecture:
    """Put a narrower token table, and head, behind projections without a bias."""
    stack = found.main
    width, vocab = stack.d_model, config.size("vocab_size")
    token = Named("token", Embedding(vocab, narrow, share=TOKENS))
    inputs = (token, Named("project_in", Linear(narrow, width, bias=False)), *stack.inputs[1:])
    outputs = [entry for entry in stack.outputs if entry.name != "head"]
    outputs.append(Named("project_out", Linear(width, narrow, bias=False)))
    if len(stack.outputs) == len(outputs):
        share = TOKENS if config.flag("tie_word_embeddings", True) else None
        outputs.append(Named("head", Head(vocab, narrow, share=share)))
    return replace(found, stacks=(replace(stack, inputs=inputs, outputs=tuple(outputs)),))


def biogpt(config: Config) -> Architecture:
    """BioGPT [luo2022]."""
    width = config.size("hidden_size")
    return decoder(
        config,
        norm=default_layernorm(width),
        embedding_scale=width**0.5 if config.flag("scale_embedding", True) else 1.0,
        attention=Attention(width, config.size("num_attention_heads"), **BIASED),
        mlp=Mlp(width, config.size("intermediate_size"), config.activation(), bias=True),
        inputs=(_positions(config, width),),
    )


def xglm(config: Config) -> Architecture:
    """XGLM [lin2021]: sinusoidal positions; with cross-attention where the config asks for it, never run."""
    width, heads = config.size("d_model"), config.size("attention_heads")
    norm = default_layernorm(width)
    parts = [sublayer("attention", Attention(width, heads, **BIASED), pre=norm)]
    if config.flag("add_cross_attention"):
        cross = Attention(width, heads, cross=True, causal=False, unused=True, **BIASED)
        parts.append(sublayer("cross_attention", cross, pre=norm))
    mlp = Mlp(width, config.size("ffn_dim"), config.activation("activation_function"), bias=True)
    parts.append(sublayer("mlp", mlp, pre=norm))
    blank = config.count("pad_token_id", 1)  # of the table's rows
    inputs = (_positions(config, width, learned=False, sinusoids="fairseq", blank=blank if blank >= _OFFSET else None),)
    runs = repeat_block(Block("block", tuple(parts)), config.size("num_layers"))
    scale = width**0.5 if config.flag("scale_embedding", True) else 1.0
    return causal_lm(config, runs, norm, inputs=inputs, embedding_scale=scale)


def _positions(config: Config, width: int, **fields: Any) -> Named:
    rows = config.size("max_position_embeddings") + _OFFSET
    return Named("position", Embedding(rows, width, table="position", offset=_OFFSET, **fields))

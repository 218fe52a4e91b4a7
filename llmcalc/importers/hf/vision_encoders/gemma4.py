"""The Gemma 4 vision encoder."""

from __future__ import annotations

from ....core.architecture import Stack
from ....layers import Attention, Embedding, Linear, Mlp, Norm, Rope
from ....layers.parts.qk_norm import QkNorm
from ..config import Config
from ..rules import repeat_block
from .parts import CHANNELS, EPS, attention_mlp, named

AXES = 2  # an image has one position table for rows and one for columns


def gemma4(config: Config) -> Stack:
    """Read a Gemma 4 vision config with sandwich norms, gated MLPs, and learned row and column positions."""
    width, heads, bias = config.d_model, config.n_heads, config.flag("attention_bias")
    config.ignore("default_output_length standardize use_clipped_linears global_head_dim max_position_embeddings")
    norm = Norm(width, eps=config.number("rms_norm_eps") or EPS)
    attention = Attention(
        width,
        heads,
        config.optional_size("num_key_value_heads") or heads,
        config.optional_size("head_dim") or width // heads,
        causal=False,
        rope=Rope(grid="other"),
        qk_norm=QkNorm(),
        q_bias=bias,
        k_bias=bias,
        v_bias=bias,
        o_bias=bias,
    )
    mlp = Mlp(width, config.size("intermediate_size"), config.activation("hidden_activation"), gated=True)
    inputs = named(
        patch=Linear(CHANNELS * config.size("patch_size") ** 2, width, bias=False),
        position=Embedding(AXES * config.size("position_embedding_size"), width, table="position"),
    )
    runs = repeat_block(attention_mlp(attention, mlp, norm, norm), config.n_layers)
    return Stack("vision", width, tuple(inputs), runs, (), "tower")

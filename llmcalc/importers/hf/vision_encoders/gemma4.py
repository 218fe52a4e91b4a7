"""The Gemma 4 vision encoder, and the patches and audio frames of Gemma 4 Unified, which has no encoders."""

from __future__ import annotations

from ....core.architecture import Named, Stack
from ....layers import Attention, Embedding, Linear, Mlp, Norm, Rope
from ....layers.parts.qk_norm import QkNorm
from ..config import BIASED, Config, Fields
from ..rules import repeat_block
from .parts import CHANNELS, EPS, attention_mlp, named

AXES = 2  # an image has one position table for rows and one for columns


def gemma4(config: Config) -> Stack:
    """Read a Gemma 4 vision config with sandwich norms, gated MLPs, and learned row and column positions."""
    width = config.d_model
    biases: Fields = dict.fromkeys(BIASED, config.flag("attention_bias"))
    config.ignore("default_output_length standardize use_clipped_linears global_head_dim max_position_embeddings")
    norm, heads = Norm(width, eps=config.number("rms_norm_eps") or EPS), (config.n_heads, config.n_kv_heads)
    head = config.optional_size("head_dim") or width // config.n_heads
    attention = Attention(width, *heads, head, causal=False, rope=Rope(grid="other"), qk_norm=QkNorm(), **biases)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation("hidden_activation"), gated=True)
    inputs = named(
        patch=Linear(CHANNELS * config.size("patch_size") ** 2, width, bias=False),
        position=Embedding(AXES * config.size("position_embedding_size"), width, table="position"),
    )
    runs = repeat_block(attention_mlp(attention, mlp, norm, norm), config.n_layers)
    return Stack("vision", width, tuple(inputs), runs, (), "tower")


def unified(config: Config) -> Stack:
    """Read a Gemma 4 Unified vision config. Patches are projected, and rows and columns have positions."""
    side = config.size("patch_size") * config.size("pooling_kernel_size")
    config.check_equal("model_patch_size", side)
    config.ignore("num_soft_tokens")
    width, wide = config.size("mm_embed_dim"), CHANNELS * side**2
    config.check_equal("output_proj_dims", width)
    inputs = named(
        patch_norm=Norm(wide, "layernorm", bias=True),
        patch=Linear(wide, width),
        projected_norm=Norm(width, "layernorm", bias=True),
        position=Embedding(AXES * config.size("mm_posemb_size"), width, table="position"),
        position_norm=Norm(width, "layernorm", bias=True),
    )
    return Stack("vision", width, tuple(inputs), (), (), "tower")


def unified_audio(config: Config) -> Stack:
    """Read a Gemma 4 Unified audio config. Each frame of the waveform is one token."""
    width = config.size("audio_embed_dim")
    for key in ("hidden_size", "output_proj_dims", "audio_samples_per_token"):
        config.check_equal(key, width)
    norm = Norm(width, eps=config.number("rms_norm_eps") or EPS, scale=False)
    return Stack("audio", width, (Named("frame_norm", norm),), (), (), "tower", tokens="a")

"""The MoonViT and MoonViT-V2 vision encoders of Kimi K2.5 and Kimi K3."""

from __future__ import annotations

from ....core.architecture import Block, Named, Stack
from ....layers import Attention, Embedding, Mlp, Norm, Patch, Rope
from ..config import BIASED, Config
from ..rules import repeat_block
from .parts import CHANNELS, attention_mlp, named

V2_EPS = 2.0**-7  # torch's default, the machine epsilon of bfloat16


def moonvit(config: Config) -> Stack:
    """Read a MoonViT config [moonshot2025] with LayerNorm, biases, and learned and rotary positions."""
    published = "vt_hidden_size" in config.data  # the class uses shorter names
    prefix, initial = ("vt_", "init_") if published else ("", "")
    width = config.size(f"{prefix}hidden_size")
    config.ignore("init_pos_emb_time pos_emb_time pos_emb_type video_attn_type merge_type mm_projector_type")
    config.ignore("projector_hidden_act projector_ln_eps projection_layer_norm_eps mm_hidden_size text_hidden_size")
    norm = Norm(width, "layernorm", bias=True)
    heads, d_ff = config.size(f"{prefix}num_attention_heads"), config.size(f"{prefix}intermediate_size")
    attention = Attention(width, heads, causal=False, rope=Rope(grid="other"), **BIASED)
    act = config.activation() if config.get("hidden_act") else "gelu_tanh"
    block = attention_mlp(attention, Mlp(width, d_ff, act, bias=True), norm)
    return _stack(config, norm, block, prefix, initial, has_bias=True)


def _stack(config: Config, norm: Norm, block: Block, prefix: str, initial: str, *, has_bias: bool) -> Stack:
    """Return the encoder with these blocks. ``prefix`` and ``initial`` begin the names of keys."""
    rows, columns = config.size(f"{initial}pos_emb_height"), config.size(f"{initial}pos_emb_width")
    inputs = named(
        patch=Patch(CHANNELS, config.size("patch_size"), norm.d_model, bias=has_bias),
        position=Embedding(rows * columns, norm.d_model, table="position", columns=columns),
    )
    runs = repeat_block(block, config.size(f"{prefix}num_hidden_layers"))
    return Stack("vision", norm.d_model, tuple(inputs), runs, (Named("norm", norm),), "tower")


# published config of a MoonViT-V2; temporal positions are computed, and patches are pooled over time
_V2 = {
    "norm_type": "rmsnorm", "mlp_type": "mlp2", "merge_type": "sd2_tpool", "mm_projector_type": "patchmergerv2",
    "pos_emb_type": "divided_fixed", "video_attn_type": "spatial_temporal", "activation_func": "gelu_pytorch_tanh",
    "projector_hidden_act": "gelu", "pos_emb_interpolation_mode": "bilinear",
}  # fmt: skip


def moonvit_v2(config: Config) -> Stack:
    """Read a MoonViT-V2 config [moonshot2026k3] with RMSNorm. Attention is wider than the residual stream."""
    for key, value in _V2.items():
        if config.get(key) is not None:
            config.one_of(key, value)
    if config.flag("attn_bias") or config.flag("linear_bias") or config.flag("patch_embed_proj_bias"):
        raise config.error("biases in MoonViT-V2 are not supported")
    config.ignore("init_pos_emb_time projector_ln_eps text_hidden_size")
    width, heads = config.size("vt_hidden_size"), config.size("vt_num_attention_heads")
    if config.size("mm_hidden_size", width) != width:
        raise config.size_error(f"mm_hidden_size must equal vt_hidden_size ({width})")
    norm, projected = Norm(width, eps=V2_EPS), config.size("qkv_hidden_size")
    if projected % heads:
        text = f"qkv_hidden_size ({projected}) is not a multiple of vt_num_attention_heads ({heads})"
        raise config.size_error(text)
    attention = Attention(width, heads, d_head=projected // heads, causal=False, rope=Rope())
    block = attention_mlp(attention, Mlp(width, config.size("vt_intermediate_size"), "gelu_tanh"), norm)
    return _stack(config, norm, block, "vt_", "init_", has_bias=False)

"""KOSMOS-2's and 2.5's language model: BART's names without a side, and norms within the sub-layers."""

from . import bart

_NAMES = (
    (bart.OUTER + bart.ATTENTION + bart.CROSS + bart.MLP + bart.NORMS).replace("{side}.", "").replace("fc", "ffn.fc")
)
PREFIX = "model."
TEXT = (
    """
model.embed_tokens.weight <- token.w
model.segment_emb.weight <- segment.w
model.layer_norm.weight <- norm.w
model.layer_norm.bias <- norm.b
model.layers.{i}.self_attn.inner_attn_ln.weight <- attention.o_norm
model.layers.{i}.self_attn.inner_attn_ln.bias <- attention.o_norm_b
model.layers.{i}.ffn.ffn_layernorm.weight <- mlp.norm
model.layers.{i}.ffn.ffn_layernorm.bias <- mlp.norm_b
"""
    + _NAMES
)

"""T5Gemma: two stacks with Gemma's names, and norms around every sub-layer."""

from .bart import ATTENTION

_OWN = (
    ATTENTION.replace("out_proj", "o_proj")
    + """
model.{side}.layers.{i}.pre_self_attn_layernorm.weight <- attention/pre_norm.w
model.{side}.layers.{i}.post_self_attn_layernorm.weight <- attention/post_norm.w
"""
)
PREFIX = "model."
TEXT = (
    _OWN
    + _OWN.replace("self_attn", "cross_attn").replace("<- ", "<- cross_")
    + """
model.{side}.embed_tokens.weight <- token.w
model.{side}.norm.weight <- norm.w
model.{side}.layers.{i}.pre_feedforward_layernorm.weight <- mlp/pre_norm.w
model.{side}.layers.{i}.post_feedforward_layernorm.weight <- mlp/post_norm.w
model.{side}.layers.{i}.mlp.gate_proj.weight <- mlp.wg
model.{side}.layers.{i}.mlp.up_proj.weight <- mlp.wu
model.{side}.layers.{i}.mlp.down_proj.weight <- mlp.wd
lm_head.out_proj.weight <- head.w
"""
)

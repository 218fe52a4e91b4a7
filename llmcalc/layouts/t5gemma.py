"""T5Gemma: two stacks with Gemma's names, and norms around every sub-layer."""

_OWN = """
model.{side}.layers.{i}.self_attn.q_proj.weight <- attention.wq
model.{side}.layers.{i}.self_attn.k_proj.weight <- attention.wk
model.{side}.layers.{i}.self_attn.v_proj.weight <- attention.wv
model.{side}.layers.{i}.self_attn.o_proj.weight <- attention.wo
model.{side}.layers.{i}.self_attn.q_proj.bias <- attention.bq
model.{side}.layers.{i}.self_attn.k_proj.bias <- attention.bk
model.{side}.layers.{i}.self_attn.v_proj.bias <- attention.bv
model.{side}.layers.{i}.self_attn.o_proj.bias <- attention.bo
model.{side}.layers.{i}.pre_self_attn_layernorm.weight <- attention/pre_norm.w
model.{side}.layers.{i}.post_self_attn_layernorm.weight <- attention/post_norm.w
"""
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

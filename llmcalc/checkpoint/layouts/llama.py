"""LLaMA and its many relatives."""

PREFIX = "model."
OUTER = """
model.embed_tokens.weight <- token.w
model.norm.weight <- norm.w
model.norm.bias <- norm.b
lm_head.weight <- head.w
lm_head.bias <- head.b
"""
NORMS = """
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.input_layernorm.bias <- sublayer0.pre_norm.b
model.layers.{i}.post_attention_layernorm.weight <- sublayer1.pre_norm.w
model.layers.{i}.post_attention_layernorm.bias <- sublayer1.pre_norm.b
"""
ATTENTION = """
model.layers.{i}.self_attn.q_proj.weight <- attention.wq
model.layers.{i}.self_attn.k_proj.weight <- attention.wk
model.layers.{i}.self_attn.v_proj.weight <- attention.wv
model.layers.{i}.self_attn.o_proj.weight <- attention.wo
model.layers.{i}.self_attn.q_proj.bias <- attention.bq
model.layers.{i}.self_attn.k_proj.bias <- attention.bk
model.layers.{i}.self_attn.v_proj.bias <- attention.bv
model.layers.{i}.self_attn.o_proj.bias <- attention.bo
model.layers.{i}.self_attn.q_norm.weight <- attention.q_norm
model.layers.{i}.self_attn.k_norm.weight <- attention.k_norm
model.layers.{i}.self_attn.sinks <- attention.sinks
"""
MLP = """
model.layers.{i}.mlp.gate_proj.weight <- mlp.wg
model.layers.{i}.mlp.up_proj.weight <- mlp.wu
model.layers.{i}.mlp.down_proj.weight <- mlp.wd
model.layers.{i}.mlp.gate_proj.bias <- mlp.bg
model.layers.{i}.mlp.up_proj.bias <- mlp.bu
model.layers.{i}.mlp.down_proj.bias <- mlp.bd
"""
TEXT = OUTER + NORMS + ATTENTION + MLP


def with_attention(kind: str) -> str:
    """LLaMA's rules with attention of another kind, whose tensors are called as attention's are."""
    return OUTER + NORMS + MLP + ATTENTION.replace(" attention.", f" {kind}.")

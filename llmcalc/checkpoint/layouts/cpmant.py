"""CPM-Ant: each half of a block with its norm, and a bias for all layers."""

PREFIX = "cpmant."
TEXT = """
cpmant.input_embedding.weight <- token.w
cpmant.segment_embedding.weight <- segment.w
cpmant.position_bias.relative_attention_bias <- attention.relative_bias
cpmant.encoder.output_layernorm.weight <- norm.w
cpmant.encoder.layers.{i}.self_att.layernorm_before_attention.weight <- attention.pre_norm.w
cpmant.encoder.layers.{i}.self_att.self_attention.project_q.weight <- attention.wq
cpmant.encoder.layers.{i}.self_att.self_attention.project_k.weight <- attention.wk
cpmant.encoder.layers.{i}.self_att.self_attention.project_v.weight <- attention.wv
cpmant.encoder.layers.{i}.self_att.self_attention.attention_out.weight <- attention.wo
cpmant.encoder.layers.{i}.ffn.layernorm_before_ffn.weight <- mlp.pre_norm.w
cpmant.encoder.layers.{i}.ffn.ffn.w_in.w_0.weight <- mlp.wg
cpmant.encoder.layers.{i}.ffn.ffn.w_in.w_1.weight <- mlp.wu
cpmant.encoder.layers.{i}.ffn.ffn.w_out.weight <- mlp.wd
lm_head.weight <- head.w
"""

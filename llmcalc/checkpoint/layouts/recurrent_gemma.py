"""RecurrentGemma: a temporal and a channel part in each layer."""

PREFIX = "model."
TEXT = """
model.embed_tokens.weight <- token.w
model.final_norm.weight <- norm.w
lm_head.weight <- head.w
model.layers.{i}.temporal_pre_norm.weight <- sublayer0.pre_norm.w
model.layers.{i}.channel_pre_norm.weight <- sublayer1.pre_norm.w
model.layers.{i}.temporal_block.q_proj.weight <- attention.wq
model.layers.{i}.temporal_block.k_proj.weight <- attention.wk
model.layers.{i}.temporal_block.v_proj.weight <- attention.wv
model.layers.{i}.temporal_block.o_proj.weight <- attention.wo
model.layers.{i}.temporal_block.q_proj.bias <- attention.bq
model.layers.{i}.temporal_block.k_proj.bias <- attention.bk
model.layers.{i}.temporal_block.v_proj.bias <- attention.bv
model.layers.{i}.temporal_block.o_proj.bias <- attention.bo
model.layers.{i}.temporal_block.linear_y.weight <- rg_lru.wy
model.layers.{i}.temporal_block.linear_y.bias <- rg_lru.by
model.layers.{i}.temporal_block.linear_x.weight <- rg_lru.wx
model.layers.{i}.temporal_block.linear_x.bias <- rg_lru.bx
model.layers.{i}.temporal_block.linear_out.weight <- rg_lru.wo
model.layers.{i}.temporal_block.linear_out.bias <- rg_lru.bo
model.layers.{i}.temporal_block.conv_1d.weight <- rg_lru.conv
model.layers.{i}.temporal_block.conv_1d.bias <- rg_lru.conv_b
model.layers.{i}.temporal_block.rg_lru.recurrent_param <- rg_lru.decay_rate
model.layers.{i}.temporal_block.rg_lru.input_gate_weight <- rg_lru.w_input | transposed
model.layers.{i}.temporal_block.rg_lru.input_gate_bias <- rg_lru.b_input
model.layers.{i}.temporal_block.rg_lru.recurrent_gate_weight <- rg_lru.w_decay | transposed
model.layers.{i}.temporal_block.rg_lru.recurrent_gate_bias <- rg_lru.b_decay
model.layers.{i}.mlp_block.gate_proj.weight <- mlp.wg
model.layers.{i}.mlp_block.up_proj.weight <- mlp.wu
model.layers.{i}.mlp_block.down_proj.weight <- mlp.wd
model.layers.{i}.mlp_block.gate_proj.bias <- mlp.bg
model.layers.{i}.mlp_block.up_proj.bias <- mlp.bu
model.layers.{i}.mlp_block.down_proj.bias <- mlp.bd
"""

"""GPT-NeoX: queries, keys and values in one matrix; two norms a block, whether its halves run in turn or side by side."""

PREFIX = "gpt_neox."
TEXT = """
gpt_neox.embed_in.weight <- token.w
gpt_neox.layers.{i}.input_layernorm.weight <- sublayer0.attention_pre_norm.w
gpt_neox.layers.{i}.input_layernorm.bias <- sublayer0.attention_pre_norm.b
gpt_neox.layers.{i}.post_attention_layernorm.weight <- sublayer0.mlp_pre_norm.w
gpt_neox.layers.{i}.post_attention_layernorm.bias <- sublayer0.mlp_pre_norm.b
gpt_neox.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
gpt_neox.layers.{i}.input_layernorm.bias <- sublayer0.pre_norm.b
gpt_neox.layers.{i}.post_attention_layernorm.weight <- sublayer1.pre_norm.w
gpt_neox.layers.{i}.post_attention_layernorm.bias <- sublayer1.pre_norm.b
gpt_neox.layers.{i}.attention.query_key_value.weight <- attention.wq attention.wk attention.wv | heads
gpt_neox.layers.{i}.attention.query_key_value.bias <- attention.bq attention.bk attention.bv | heads
gpt_neox.layers.{i}.attention.dense.weight <- attention.wo
gpt_neox.layers.{i}.attention.dense.bias <- attention.bo
gpt_neox.layers.{i}.mlp.dense_h_to_4h.weight <- mlp.wu
gpt_neox.layers.{i}.mlp.dense_h_to_4h.bias <- mlp.bu
gpt_neox.layers.{i}.mlp.dense_4h_to_h.weight <- mlp.wd
gpt_neox.layers.{i}.mlp.dense_4h_to_h.bias <- mlp.bd
gpt_neox.final_layer_norm.weight <- norm.w
gpt_neox.final_layer_norm.bias <- norm.b
lm_head.weight <- head.w
"""

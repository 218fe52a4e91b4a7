"""BLOOM and Falcon: GPT-NeoX's matrices under GPT-2's outer names."""

PREFIX = "transformer."
OUTER = """
transformer.word_embeddings.weight <- token.w
transformer.word_embeddings_layernorm.weight <- table_norm.w
transformer.word_embeddings_layernorm.bias <- table_norm.b
transformer.ln_f.weight <- norm.w
transformer.ln_f.bias <- norm.b
lm_head.weight <- head.w
"""
BLOCK = """
transformer.h.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
transformer.h.{i}.input_layernorm.bias <- sublayer0.pre_norm.b
transformer.h.{i}.post_attention_layernorm.weight <- sublayer1.pre_norm.w
transformer.h.{i}.post_attention_layernorm.bias <- sublayer1.pre_norm.b
transformer.h.{i}.self_attention.query_key_value.weight <- attention.wq attention.wk attention.wv | heads
transformer.h.{i}.self_attention.query_key_value.bias <- attention.bq attention.bk attention.bv | heads
transformer.h.{i}.self_attention.dense.weight <- attention.wo
transformer.h.{i}.self_attention.dense.bias <- attention.bo
transformer.h.{i}.mlp.dense_h_to_4h.weight <- mlp.wu
transformer.h.{i}.mlp.dense_h_to_4h.bias <- mlp.bu
transformer.h.{i}.mlp.dense_4h_to_h.weight <- mlp.wd
transformer.h.{i}.mlp.dense_4h_to_h.bias <- mlp.bd
"""
TEXT = OUTER + BLOCK

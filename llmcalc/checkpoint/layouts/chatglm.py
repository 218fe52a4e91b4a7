"""ChatGLM in the class of its checkpoints: queries, keys and values in one matrix, gate and up in another."""

PREFIX = "transformer."

TEXT = """
transformer.embedding.word_embeddings.weight <- token.w
transformer.encoder.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
transformer.encoder.layers.{i}.self_attention.query_key_value.weight <- attention.wq attention.wk attention.wv
transformer.encoder.layers.{i}.self_attention.query_key_value.bias <- attention.bq attention.bk attention.bv
transformer.encoder.layers.{i}.self_attention.dense.weight <- attention.wo
transformer.encoder.layers.{i}.self_attention.dense.bias <- attention.bo
transformer.encoder.layers.{i}.post_attention_layernorm.weight <- sublayer1.pre_norm.w
transformer.encoder.layers.{i}.mlp.dense_h_to_4h.weight <- mlp.wg mlp.wu
transformer.encoder.layers.{i}.mlp.dense_h_to_4h.bias <- mlp.bg mlp.bu
transformer.encoder.layers.{i}.mlp.dense_4h_to_h.weight <- mlp.wd
transformer.encoder.layers.{i}.mlp.dense_4h_to_h.bias <- mlp.bd
transformer.encoder.final_layernorm.weight <- norm.w
transformer.output_layer.weight <- head.w
"""

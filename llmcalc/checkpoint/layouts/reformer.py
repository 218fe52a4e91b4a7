"""Reformer: layers of an attention and a feed-forward layer, each with its norm."""

PREFIX = "reformer."
TEXT = """
reformer.embeddings.word_embeddings.weight <- token.w
reformer.embeddings.position_embeddings.embedding.weight <- position.w
reformer.embeddings.position_embeddings.weights.0 <- axial.rows
reformer.embeddings.position_embeddings.weights.1 <- axial.columns
reformer.encoder.layers.{i}.attention.layer_norm.weight <- chunked_attention.pre_norm.w
reformer.encoder.layers.{i}.attention.layer_norm.bias <- chunked_attention.pre_norm.b
reformer.encoder.layers.{i}.attention.self_attention.query_key.weight <- lsh/chunked_attention.wq
reformer.encoder.layers.{i}.attention.self_attention.query.weight <- local/chunked_attention.wq
reformer.encoder.layers.{i}.attention.self_attention.key.weight <- chunked_attention.wk
reformer.encoder.layers.{i}.attention.self_attention.value.weight <- chunked_attention.wv
reformer.encoder.layers.{i}.attention.output.dense.weight <- chunked_attention.wo
reformer.encoder.layers.{i}.feed_forward.layer_norm.weight <- mlp.pre_norm.w
reformer.encoder.layers.{i}.feed_forward.layer_norm.bias <- mlp.pre_norm.b
reformer.encoder.layers.{i}.feed_forward.dense.dense.weight <- mlp.wu
reformer.encoder.layers.{i}.feed_forward.dense.dense.bias <- mlp.bu
reformer.encoder.layers.{i}.feed_forward.output.dense.weight <- mlp.wd
reformer.encoder.layers.{i}.feed_forward.output.dense.bias <- mlp.bd
reformer.encoder.layer_norm.weight <- norm.w
reformer.encoder.layer_norm.bias <- norm.b
lm_head.bias <- head.unused_b0
lm_head.decoder.weight <- head.w
lm_head.decoder.bias <- head.b
"""

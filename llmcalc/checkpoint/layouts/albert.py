"""ALBERT: one group of layers, applied again and again, behind a projection of the narrow tables."""

PREFIX = "albert."
TEXT = """
albert.embeddings.word_embeddings.weight <- token.w
albert.embeddings.position_embeddings.weight <- position.w
albert.embeddings.token_type_embeddings.weight <- segment.w
albert.embeddings.LayerNorm.weight <- norm.w
albert.embeddings.LayerNorm.bias <- norm.b
albert.encoder.embedding_hidden_mapping_in.weight <- projection.w
albert.encoder.embedding_hidden_mapping_in.bias <- projection.b
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.query.weight <- attention.wq
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.key.weight <- attention.wk
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.value.weight <- attention.wv
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.dense.weight <- attention.wo
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.query.bias <- attention.bq
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.key.bias <- attention.bk
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.value.bias <- attention.bv
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.dense.bias <- attention.bo
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.LayerNorm.weight <- attention.norm.w
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.attention.LayerNorm.bias <- attention.norm.b
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.ffn.weight <- mlp.wu
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.ffn.bias <- mlp.bu
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.ffn_output.weight <- mlp.wd
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.ffn_output.bias <- mlp.bd
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.full_layer_layer_norm.weight <- mlp.norm.w
albert.encoder.albert_layer_groups.{i}.albert_layers.{t}.full_layer_layer_norm.bias <- mlp.norm.b
albert.pooler.weight <- pooler.w
albert.pooler.bias <- pooler.b
sop_classifier.classifier.weight <- next_sentence.w
sop_classifier.classifier.bias <- next_sentence.b
predictions.bias <- head.unused_b0
predictions.LayerNorm.weight <- transform_norm.w
predictions.LayerNorm.bias <- transform_norm.b
predictions.dense.weight <- transform.w
predictions.dense.bias <- transform.b
predictions.decoder.weight <- head.w
predictions.bias <- head.b | tied
predictions.decoder.bias <- head.b | untied
"""

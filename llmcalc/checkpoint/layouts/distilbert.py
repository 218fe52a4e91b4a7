"""DistilBERT: short names, the norms beside the sub-layers."""

PREFIX = "distilbert."
TEXT = """
distilbert.embeddings.word_embeddings.weight <- token.w
distilbert.embeddings.position_embeddings.weight <- position.w
distilbert.embeddings.LayerNorm.weight <- norm.w
distilbert.embeddings.LayerNorm.bias <- norm.b
distilbert.transformer.layer.{i}.attention.q_lin.weight <- attention.wq
distilbert.transformer.layer.{i}.attention.k_lin.weight <- attention.wk
distilbert.transformer.layer.{i}.attention.v_lin.weight <- attention.wv
distilbert.transformer.layer.{i}.attention.out_lin.weight <- attention.wo
distilbert.transformer.layer.{i}.attention.q_lin.bias <- attention.bq
distilbert.transformer.layer.{i}.attention.k_lin.bias <- attention.bk
distilbert.transformer.layer.{i}.attention.v_lin.bias <- attention.bv
distilbert.transformer.layer.{i}.attention.out_lin.bias <- attention.bo
distilbert.transformer.layer.{i}.sa_layer_norm.weight <- attention.norm.w
distilbert.transformer.layer.{i}.sa_layer_norm.bias <- attention.norm.b
distilbert.transformer.layer.{i}.ffn.lin1.weight <- mlp.wu
distilbert.transformer.layer.{i}.ffn.lin1.bias <- mlp.bu
distilbert.transformer.layer.{i}.ffn.lin2.weight <- mlp.wd
distilbert.transformer.layer.{i}.ffn.lin2.bias <- mlp.bd
distilbert.transformer.layer.{i}.output_layer_norm.weight <- mlp.norm.w
distilbert.transformer.layer.{i}.output_layer_norm.bias <- mlp.norm.b
vocab_transform.weight <- transform.w
vocab_transform.bias <- transform.b
vocab_layer_norm.weight <- transform_norm.w
vocab_layer_norm.bias <- transform_norm.b
vocab_projector.weight <- head.w
vocab_projector.bias <- head.b
"""

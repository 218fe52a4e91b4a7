"""ModernBERT: fused queries, keys and values, and a fused gated pair."""

PREFIX = "model."
TEXT = """
model.embeddings.tok_embeddings.weight <- token.w
model.embeddings.norm.weight <- norm.w
model.embeddings.norm.bias <- norm.b
model.layers.{i}.attn_norm.weight <- attention.pre_norm.w
model.layers.{i}.attn_norm.bias <- attention.pre_norm.b
model.layers.{i}.attn.Wqkv.weight <- attention.wq attention.wk attention.wv
model.layers.{i}.attn.Wqkv.bias <- attention.bq attention.bk attention.bv
model.layers.{i}.attn.Wo.weight <- attention.wo
model.layers.{i}.attn.Wo.bias <- attention.bo
model.layers.{i}.mlp_norm.weight <- mlp.pre_norm.w
model.layers.{i}.mlp_norm.bias <- mlp.pre_norm.b
model.layers.{i}.mlp.Wi.weight <- mlp.wg mlp.wu
model.layers.{i}.mlp.Wi.bias <- mlp.bg mlp.bu
model.layers.{i}.mlp.Wo.weight <- mlp.wd
model.layers.{i}.mlp.Wo.bias <- mlp.bd
model.final_norm.weight <- final_norm.w
model.final_norm.bias <- final_norm.b
head.dense.weight <- transform.w
head.dense.bias <- transform.b
head.norm.weight <- transform_norm.w
head.norm.bias <- transform_norm.b
decoder.weight <- head.w
decoder.bias <- head.b
"""

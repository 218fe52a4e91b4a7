"""InternLM 2: LLaMA with names of its own; queries, keys and values in one matrix, group by group."""

PREFIX = "model."

TEXT = """
model.tok_embeddings.weight <- token.w
model.layers.{i}.attention_norm.weight <- sublayer0.pre_norm.w
model.layers.{i}.attention.wqkv.weight <- attention.wq attention.wk attention.wv | heads
model.layers.{i}.attention.wqkv.bias <- attention.bq attention.bk attention.bv | heads
model.layers.{i}.attention.wo.weight <- attention.wo
model.layers.{i}.attention.wo.bias <- attention.bo
model.layers.{i}.ffn_norm.weight <- sublayer1.pre_norm.w
model.layers.{i}.feed_forward.w1.weight <- mlp.wg
model.layers.{i}.feed_forward.w3.weight <- mlp.wu
model.layers.{i}.feed_forward.w2.weight <- mlp.wd
model.norm.weight <- norm.w
output.weight <- head.w
"""

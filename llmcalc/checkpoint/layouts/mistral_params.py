"""LLaMA, Mistral and Mixtral as their makers released them."""

PREFIX = ""

TEXT = """
tok_embeddings.weight <- token.w
layers.{i}.attention_norm.weight <- sublayer0.pre_norm.w
layers.{i}.attention.wq.weight <- attention.wq
layers.{i}.attention.wk.weight <- attention.wk
layers.{i}.attention.wv.weight <- attention.wv
layers.{i}.attention.wo.weight <- attention.wo
layers.{i}.ffn_norm.weight <- sublayer1.pre_norm.w
layers.{i}.feed_forward.w1.weight <- mlp.wg
layers.{i}.feed_forward.w2.weight <- mlp.wd
layers.{i}.feed_forward.w3.weight <- mlp.wu
layers.{i}.feed_forward.gate.weight <- moe.router
layers.{i}.feed_forward.experts.{x}.w1.weight <- moe.wg
layers.{i}.feed_forward.experts.{x}.w2.weight <- moe.wd
layers.{i}.feed_forward.experts.{x}.w3.weight <- moe.wu
norm.weight <- norm.w
output.weight <- head.w
"""

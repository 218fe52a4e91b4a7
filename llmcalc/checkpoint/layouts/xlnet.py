"""XLNet: every matrix of the attention in three dimensions."""

PREFIX = "transformer."
TEXT = """
transformer.mask_emb <- masked.w | row
transformer.word_embedding.weight <- token.w
transformer.layer.{i}.rel_attn.q <- relative_attention.wq
transformer.layer.{i}.rel_attn.k <- relative_attention.wk
transformer.layer.{i}.rel_attn.v <- relative_attention.wv
transformer.layer.{i}.rel_attn.o <- relative_attention.wo
transformer.layer.{i}.rel_attn.r <- relative_attention.wr
transformer.layer.{i}.rel_attn.r_w_bias <- relative_attention.u
transformer.layer.{i}.rel_attn.r_r_bias <- relative_attention.w
transformer.layer.{i}.rel_attn.r_s_bias <- relative_attention.segment_bias
transformer.layer.{i}.rel_attn.seg_embed <- relative_attention.segment
transformer.layer.{i}.rel_attn.layer_norm.weight <- relative_attention.norm.w
transformer.layer.{i}.rel_attn.layer_norm.bias <- relative_attention.norm.b
transformer.layer.{i}.ff.layer_norm.weight <- mlp.norm.w
transformer.layer.{i}.ff.layer_norm.bias <- mlp.norm.b
transformer.layer.{i}.ff.layer_1.weight <- mlp.wu
transformer.layer.{i}.ff.layer_1.bias <- mlp.bu
transformer.layer.{i}.ff.layer_2.weight <- mlp.wd
transformer.layer.{i}.ff.layer_2.bias <- mlp.bd
lm_loss.weight <- head.w
lm_loss.bias <- head.b
"""

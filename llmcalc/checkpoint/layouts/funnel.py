"""Funnel Transformer: layers under the names of their blocks, the decoder's beside them."""

PREFIX = "funnel."
TEXT = """
funnel.embeddings.word_embeddings.weight <- token.w
funnel.embeddings.layer_norm.weight <- norm.w
funnel.embeddings.layer_norm.bias <- norm.b
funnel.{block}.attention.r_w_bias <- funnel_attention.u
funnel.{block}.attention.r_r_bias <- funnel_attention.w
funnel.{block}.attention.r_kernel <- funnel_attention.wr
funnel.{block}.attention.r_s_bias <- funnel_attention.z
funnel.{block}.attention.seg_embed <- funnel_attention.segment
funnel.{block}.attention.q_head.weight <- funnel_attention.wq
funnel.{block}.attention.k_head.weight <- funnel_attention.wk
funnel.{block}.attention.k_head.bias <- funnel_attention.bk
funnel.{block}.attention.v_head.weight <- funnel_attention.wv
funnel.{block}.attention.v_head.bias <- funnel_attention.bv
funnel.{block}.attention.post_proj.weight <- funnel_attention.wo
funnel.{block}.attention.post_proj.bias <- funnel_attention.bo
funnel.{block}.attention.layer_norm.weight <- funnel_attention.norm.w
funnel.{block}.attention.layer_norm.bias <- funnel_attention.norm.b
funnel.{block}.ffn.linear_1.weight <- mlp.wu
funnel.{block}.ffn.linear_1.bias <- mlp.bu
funnel.{block}.ffn.linear_2.weight <- mlp.wd
funnel.{block}.ffn.linear_2.bias <- mlp.bd
funnel.{block}.ffn.layer_norm.weight <- mlp.norm.w
funnel.{block}.ffn.layer_norm.bias <- mlp.norm.b
lm_head.weight <- head.w
lm_head.bias <- head.b
discriminator_predictions.dense.weight <- discriminator_dense.w
discriminator_predictions.dense.bias <- discriminator_dense.b
discriminator_predictions.dense_prediction.weight <- discriminator.w
discriminator_predictions.dense_prediction.bias <- discriminator.b
"""

"""xLSTM: every matrix on its own."""

PREFIX = "backbone."
OUTER = """
backbone.embeddings.weight <- token.w
backbone.out_norm.weight <- norm.w
lm_head.weight <- head.w
backbone.blocks.{i}.norm_mlstm.weight <- sublayer0.pre_norm.w
backbone.blocks.{i}.norm_mlstm.bias <- sublayer0.pre_norm.b
backbone.blocks.{i}.norm_ffn.weight <- sublayer1.pre_norm.w
backbone.blocks.{i}.norm_ffn.bias <- sublayer1.pre_norm.b
backbone.blocks.{i}.mlstm_layer.multihead_norm.weight <- mlstm.norm
backbone.blocks.{i}.mlstm_layer.multihead_norm.bias <- mlstm.norm_b
backbone.blocks.{i}.mlstm_layer.out_proj.weight <- mlstm.out
backbone.blocks.{i}.mlstm_layer.out_proj.bias <- mlstm.out_b
backbone.blocks.{i}.ffn.proj_down.weight <- mlp.wd
backbone.blocks.{i}.ffn.proj_down.bias <- mlp.bd
"""
TEXT = (
    OUTER
    + """
backbone.blocks.{i}.mlstm_layer.q.weight <- mlstm.wq
backbone.blocks.{i}.mlstm_layer.q.bias <- mlstm.bq
backbone.blocks.{i}.mlstm_layer.k.weight <- mlstm.wk
backbone.blocks.{i}.mlstm_layer.k.bias <- mlstm.bk
backbone.blocks.{i}.mlstm_layer.v.weight <- mlstm.wv
backbone.blocks.{i}.mlstm_layer.v.bias <- mlstm.bv
backbone.blocks.{i}.mlstm_layer.ogate_preact.weight <- mlstm.wo
backbone.blocks.{i}.mlstm_layer.ogate_preact.bias <- mlstm.bo
backbone.blocks.{i}.mlstm_layer.igate_preact.weight <- mlstm.wi
backbone.blocks.{i}.mlstm_layer.igate_preact.bias <- mlstm.bi
backbone.blocks.{i}.mlstm_layer.fgate_preact.weight <- mlstm.wf
backbone.blocks.{i}.mlstm_layer.fgate_preact.bias <- mlstm.bf
backbone.blocks.{i}.ffn.proj_up_gate.weight <- mlp.wg
backbone.blocks.{i}.ffn.proj_up_gate.bias <- mlp.bg
backbone.blocks.{i}.ffn.proj_up.weight <- mlp.wu
backbone.blocks.{i}.ffn.proj_up.bias <- mlp.bu
"""
)

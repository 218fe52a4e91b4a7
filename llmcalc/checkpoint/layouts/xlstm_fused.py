"""xLSTM with fused matrices: queries, keys, values and output gates in one, both gates in one."""

from .xlstm import OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]
TEXT = (
    OUTER
    + """
backbone.blocks.{i}.mlstm_layer.qkv_opreact.weight <- mlstm.wq mlstm.wk mlstm.wv mlstm.wo
backbone.blocks.{i}.mlstm_layer.qkv_opreact.bias <- mlstm.bq mlstm.bk mlstm.bv mlstm.bo
backbone.blocks.{i}.mlstm_layer.ifgate_preact.weight <- mlstm.wi mlstm.wf
backbone.blocks.{i}.mlstm_layer.ifgate_preact.bias <- mlstm.bi mlstm.bf
backbone.blocks.{i}.ffn.proj_up_gate_z.weight <- mlp.wg mlp.wu
backbone.blocks.{i}.ffn.proj_up_gate_z.bias <- mlp.bg mlp.bu
"""
)

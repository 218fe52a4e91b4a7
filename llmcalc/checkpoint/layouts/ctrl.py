"""CTRL."""

PREFIX = "transformer."
TEXT = """
transformer.w.weight <- token.w
transformer.h.{i}.multi_head_attention.Wq.weight <- attention.wq
transformer.h.{i}.multi_head_attention.Wq.bias <- attention.bq
transformer.h.{i}.multi_head_attention.Wk.weight <- attention.wk
transformer.h.{i}.multi_head_attention.Wk.bias <- attention.bk
transformer.h.{i}.multi_head_attention.Wv.weight <- attention.wv
transformer.h.{i}.multi_head_attention.Wv.bias <- attention.bv
transformer.h.{i}.multi_head_attention.dense.weight <- attention.wo
transformer.h.{i}.multi_head_attention.dense.bias <- attention.bo
transformer.h.{i}.ffn.0.weight <- mlp.wu
transformer.h.{i}.ffn.0.bias <- mlp.bu
transformer.h.{i}.ffn.2.weight <- mlp.wd
transformer.h.{i}.ffn.2.bias <- mlp.bd
transformer.h.{i}.layernorm1.weight <- sublayer0.pre_norm.w
transformer.h.{i}.layernorm1.bias <- sublayer0.pre_norm.b
transformer.h.{i}.layernorm2.weight <- sublayer1.pre_norm.w
transformer.h.{i}.layernorm2.bias <- sublayer1.pre_norm.b
transformer.layernorm.weight <- norm.w
transformer.layernorm.bias <- norm.b
lm_head.weight <- head.w
lm_head.bias <- head.b
"""

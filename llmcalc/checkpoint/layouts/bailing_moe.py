"""Ling and Ring in the class of their checkpoints: queries, keys and values in one matrix, experts one by one."""

from .deepseek_v3 import SHARED
from .llama import MLP, NORMS

PREFIX = "model."

OWN = """
model.word_embeddings.weight <- token.w
model.norm.weight <- norm.w
lm_head.weight <- head.w
model.layers.{i}.attention.query_key_value.weight <- attention.wq attention.wk attention.wv
model.layers.{i}.attention.query_key_value.bias <- attention.bq attention.bk attention.bv
model.layers.{i}.attention.dense.weight <- attention.wo
model.layers.{i}.attention.dense.bias <- attention.bo
model.layers.{i}.attention.query_layernorm.weight <- attention.q_norm
model.layers.{i}.attention.key_layernorm.weight <- attention.k_norm
model.layers.{i}.mlp.gate.weight <- moe.router
model.layers.{i}.mlp.gate.expert_bias <- moe.correction
model.layers.{i}.mlp.experts.{x}.gate_proj.weight <- moe.wg
model.layers.{i}.mlp.experts.{x}.up_proj.weight <- moe.wu
model.layers.{i}.mlp.experts.{x}.down_proj.weight <- moe.wd
"""
TEXT = OWN + NORMS + MLP + SHARED

"""MVP: BART with layer-wise prompts, each made by a network of two layers."""

from . import bart

_PROMPT = """
model.decoder.{n}_attn_prompt.prompt_embedding.weight <- {n}.table
model.decoder.{n}_attn_prompt.prompt_trans.0.weight <- {n}.w1
model.decoder.{n}_attn_prompt.prompt_trans.0.bias <- {n}.b1
model.decoder.{n}_attn_prompt.prompt_trans.2.weight <- {n}.w2
model.decoder.{n}_attn_prompt.prompt_trans.2.bias <- {n}.b2
"""
PREFIX = bart.PREFIX
TEXT = bart.TEXT + _PROMPT.replace("{n}", "self") + _PROMPT.replace("{n}", "cross")

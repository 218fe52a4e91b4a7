"""LED: BART's names under ``led``, Longformer's attention in the encoder."""

from . import bart

_OWN = """
led.encoder.layers.{i}.self_attn.longformer_self_attn.query.weight <- local_attention.wq
led.encoder.layers.{i}.self_attn.longformer_self_attn.key.weight <- local_attention.wk
led.encoder.layers.{i}.self_attn.longformer_self_attn.value.weight <- local_attention.wv
led.encoder.layers.{i}.self_attn.longformer_self_attn.query.bias <- local_attention.bq
led.encoder.layers.{i}.self_attn.longformer_self_attn.key.bias <- local_attention.bk
led.encoder.layers.{i}.self_attn.longformer_self_attn.value.bias <- local_attention.bv
led.encoder.layers.{i}.self_attn.longformer_self_attn.query_global.weight <- local_attention.wq_global
led.encoder.layers.{i}.self_attn.longformer_self_attn.key_global.weight <- local_attention.wk_global
led.encoder.layers.{i}.self_attn.longformer_self_attn.value_global.weight <- local_attention.wv_global
led.encoder.layers.{i}.self_attn.longformer_self_attn.query_global.bias <- local_attention.bq_global
led.encoder.layers.{i}.self_attn.longformer_self_attn.key_global.bias <- local_attention.bk_global
led.encoder.layers.{i}.self_attn.longformer_self_attn.value_global.bias <- local_attention.bv_global
led.encoder.layers.{i}.self_attn.output.weight <- local_attention.wo
led.encoder.layers.{i}.self_attn.output.bias <- local_attention.bo
"""
PREFIX = "led."
TEXT = bart.TEXT.replace(bart.PREFIX, PREFIX) + _OWN

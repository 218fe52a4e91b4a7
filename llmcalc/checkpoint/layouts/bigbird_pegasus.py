"""BigBird-PEGASUS: BART's names, with BigBird's attention in the encoder; the last norm goes by the name of the first."""

from . import bart

_OWN = """
model.{side}.layernorm_embedding.weight <- final_norm.w
model.{side}.layernorm_embedding.bias <- final_norm.b
model.encoder.layers.{i}.self_attn.self.query.weight <- attention.wq | encoder
model.encoder.layers.{i}.self_attn.self.key.weight <- attention.wk | encoder
model.encoder.layers.{i}.self_attn.self.value.weight <- attention.wv | encoder
model.encoder.layers.{i}.self_attn.output.weight <- attention.wo | encoder
model.encoder.layers.{i}.self_attn.self.query.bias <- attention.bq | encoder
model.encoder.layers.{i}.self_attn.self.key.bias <- attention.bk | encoder
model.encoder.layers.{i}.self_attn.self.value.bias <- attention.bv | encoder
model.encoder.layers.{i}.self_attn.output.bias <- attention.bo | encoder
"""
PREFIX = bart.PREFIX
TEXT = _OWN + _OWN.replace("<- ", "<- sparse_") + bart.TEXT

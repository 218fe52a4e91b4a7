"""Moonshine that hears as it goes: Moonshine's names, but for what stands before and behind its encoder."""

from . import moonshine

PREFIX = moonshine.PREFIX
TEXT = f"""
model.encoder.embedder.comp.log_k <- compressed.w | flat
model.encoder.embedder.linear.weight <- frame.w
model.encoder.embedder.conv{{t}}.weight <- conv.w
model.encoder.embedder.conv{{t}}.bias <- conv.b
model.encoder.layers.{{i}}.input_layernorm.gamma <- attention/pre_norm.w | encoder
model.encoder.layers.{{i}}.post_attention_layernorm.gamma <- mlp/pre_norm.w | encoder
model.encoder.final_norm.gamma <- final_norm.w
model.decoder.pos_emb.weight <- heard_position.w
model.decoder.proj.weight <- proj.w
{moonshine.TEXT}
"""

"""Moonshine: LLaMA's names for attention in both stacks, BART's for the feed-forward layers."""

from . import bart

_ATTENTION = bart.ATTENTION.replace("out_proj", "o_proj")
_OWN = """
model.decoder.embed_tokens.weight <- token.w
model.encoder.conv{t}.weight <- conv.w
model.encoder.conv{t}.bias <- conv.b
model.encoder.groupnorm.weight <- conv.norm
model.encoder.groupnorm.bias <- conv.norm_b
model.{side}.layers.{i}.input_layernorm.weight <- attention/pre_norm.w
model.decoder.layers.{i}.post_attention_layernorm.weight <- cross_attention/pre_norm.w
model.encoder.layers.{i}.post_attention_layernorm.weight <- mlp/pre_norm.w | encoder
model.decoder.layers.{i}.final_layernorm.weight <- mlp/pre_norm.w | decoder
model.encoder.layer_norm.weight <- norm.w | encoder
model.decoder.norm.weight <- norm.w | decoder
proj_out.weight <- head.w
"""
_GATED = """
model.decoder.layers.{i}.mlp.fc1.weight <- mlp.wu mlp.wg | decoder
model.decoder.layers.{i}.mlp.fc1.bias <- mlp.bu mlp.bg | decoder
"""
PREFIX = bart.PREFIX
MLP = bart.MLP.replace("fc", "mlp.fc")
TEXT = _OWN + _ATTENTION + _ATTENTION.replace("self_attn", "encoder_attn").replace("<- ", "<- cross_") + _GATED + MLP

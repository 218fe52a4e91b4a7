"""NLLB-MoE: M2M-100 with other names for cross-attention and feed-forward layers, each expert stored on its own."""

from . import bart

_OWN = """
model.{side}.layers.{i}.ff_layer_norm.weight <- mlp/pre_norm.w
model.{side}.layers.{i}.ff_layer_norm.bias <- mlp/pre_norm.b
model.{side}.layers.{i}.ffn.router.classifier.weight <- moe.router
model.{side}.layers.{i}.ffn.router.classifier.bias <- moe.router_b
model.{side}.layers.{i}.ffn.experts.expert_{x}.fc1.weight <- moe.wu
model.{side}.layers.{i}.ffn.experts.expert_{x}.fc1.bias <- moe.bu
model.{side}.layers.{i}.ffn.experts.expert_{x}.fc2.weight <- moe.wd
model.{side}.layers.{i}.ffn.experts.expert_{x}.fc2.bias <- moe.bd
"""
_CROSS = (bart.CROSS + bart.NORMS).replace(".encoder_attn", ".cross_attention")
PREFIX = bart.PREFIX
TEXT = bart.OUTER + _OWN + bart.ATTENTION + _CROSS + bart.MLP.replace(".fc", ".ffn.fc")

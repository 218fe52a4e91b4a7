"""Jamba, Bamba, Falcon-H1: Mamba and attention layers, each with a feed-forward layer or experts behind it."""

from .llama import ATTENTION, OUTER
from .mamba import MIXER
from .mamba2 import MIXER as MIXER2

PREFIX = "model."

TEXT = (
    OUTER.replace("model.norm", "model.final_layernorm")
    + ATTENTION
    + MIXER.replace("{p}", "model.layers.{i}.mamba")
    + MIXER2.replace("{p}", "model.layers.{i}.mamba")
    + """
model.layers.{i}.input_layernorm.weight <- sublayer0.pre_norm.w
model.layers.{i}.pre_ff_layernorm.weight <- sublayer1.pre_norm.w
model.layers.{i}.feed_forward.gate_proj.weight <- mlp.wg
model.layers.{i}.feed_forward.up_proj.weight <- mlp.wu
model.layers.{i}.feed_forward.down_proj.weight <- mlp.wd
model.layers.{i}.feed_forward.gate_proj.bias <- mlp.bg
model.layers.{i}.feed_forward.up_proj.bias <- mlp.bu
model.layers.{i}.feed_forward.down_proj.bias <- mlp.bd
model.layers.{i}.feed_forward.router.weight <- moe.router
model.layers.{i}.feed_forward.experts.gate_up_proj <- moe.wg moe.wu
model.layers.{i}.feed_forward.experts.down_proj <- moe.wd
"""
)

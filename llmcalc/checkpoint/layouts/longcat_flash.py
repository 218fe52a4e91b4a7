"""LongCat-Flash: two attentions and two dense layers a block, numbered; experts under ``mlp``."""

from .deepseek_v3 import MLA
from .llama import MLP, OUTER
from .mixtral import EXPERTS

TEXT = (
    OUTER
    + MLA.replace(".self_attn.", ".self_attn.{t}.")
    + MLP.replace(".mlp.", ".mlps.{t}.")
    + EXPERTS.replace("mlp.gate.weight", "mlp.router.classifier.weight").replace("mlp.gate.", "mlp.router.")
    + """
model.layers.{i}.mlp.router.classifier.bias <- moe.router_b
model.layers.{i}.input_layernorm.{t}.weight <- attention/pre_norm.w
model.layers.{i}.post_attention_layernorm.{t}.weight <- mlp/pre_norm.w
"""
)

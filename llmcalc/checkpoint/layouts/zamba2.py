"""Zamba-2: Mamba-2 layers; each shared layer keeps the adapters of all its places."""

from .mamba2 import MIXER
from .zamba import SHARED, behind_shared

PREFIX = "model."

_ADAPTERS = "".join(
    f"""
model.layers.{{i}}.{{shared}}.self_attn.linear_{name}_adapter_list.{{a}}.0.weight <- attention.w{name}_a
model.layers.{{i}}.{{shared}}.self_attn.linear_{name}_adapter_list.{{a}}.1.weight <- attention.w{name}_b
"""
    for name in "qkv"
)
_MLP = """
model.layers.{i}.{shared}.feed_forward.gate_up_proj.weight <- mlp.wg mlp.wu
model.layers.{i}.{shared}.feed_forward.gate_up_proj.bias <- mlp.bg mlp.bu
model.layers.{i}.{shared}.feed_forward.down_proj.weight <- mlp.wd
model.layers.{i}.{shared}.feed_forward.down_proj.bias <- mlp.bd
model.layers.{i}.{shared}.feed_forward.gate_up_proj_adapter_list.{a}.0.weight <- mlp.w_a
model.layers.{i}.{shared}.feed_forward.gate_up_proj_adapter_list.{a}.1.weight <- mlp.wg_b mlp.wu_b
"""
TEXT = (SHARED + _ADAPTERS + _MLP).replace("{shared}", "shared_transformer") + behind_shared(MIXER, "mamba2")

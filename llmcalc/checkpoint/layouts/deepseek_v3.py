"""DeepSeek-V2 and V3: latent attention with the rotary key beside the latent, shared experts."""

from .llama import MLP, NORMS, OUTER
from .mixtral import EXPERTS

MLA = """
model.layers.{i}.self_attn.q_proj.weight <- mla.wq
model.layers.{i}.self_attn.q_a_proj.weight <- mla.wqa
model.layers.{i}.self_attn.q_a_proj.bias <- mla.bqa
model.layers.{i}.self_attn.q_a_layernorm.weight <- mla.q_norm
model.layers.{i}.self_attn.q_b_proj.weight <- mla.wqb
model.layers.{i}.self_attn.kv_a_proj_with_mqa.weight <- mla.wkva mla.wkr
model.layers.{i}.self_attn.kv_a_proj_with_mqa.bias <- mla.bkva mla.bkr
model.layers.{i}.self_attn.kv_a_layernorm.weight <- mla.kv_norm
model.layers.{i}.self_attn.kv_b_proj.weight <- mla.wkb mla.wvb | heads
model.layers.{i}.self_attn.o_proj.weight <- mla.wo
model.layers.{i}.self_attn.o_proj.bias <- mla.bo
"""
SHARED = """
model.layers.{i}.mlp.shared_experts.gate_proj.weight <- moe.shared.wg
model.layers.{i}.mlp.shared_experts.up_proj.weight <- moe.shared.wu
model.layers.{i}.mlp.shared_experts.down_proj.weight <- moe.shared.wd
model.layers.{i}.mlp.shared_experts.gate_proj.bias <- moe.shared.bg
model.layers.{i}.mlp.shared_experts.up_proj.bias <- moe.shared.bu
model.layers.{i}.mlp.shared_experts.down_proj.bias <- moe.shared.bd
"""
TEXT = OUTER + NORMS + MLA + MLP + EXPERTS + SHARED

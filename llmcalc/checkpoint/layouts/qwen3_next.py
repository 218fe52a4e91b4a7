"""Qwen3-Next: gated delta nets with fused projections, gated attention, a gated shared expert."""

from .llama import ATTENTION, MLP, NORMS, OUTER
from .mixtral import EXPERTS

GATED_ATTENTION = ATTENTION.replace("<- attention.wq", "<- attention.wq attention.wgate | heads").replace(
    "<- attention.bq", "<- attention.bq attention.bgate | heads"
)
DELTA_NET = """
model.layers.{i}.linear_attn.in_proj_qkvz.weight <- gated_delta_net.wq gated_delta_net.wk gated_delta_net.wv gated_delta_net.wz | heads
model.layers.{i}.linear_attn.in_proj_ba.weight <- gated_delta_net.wb gated_delta_net.wa | heads
model.layers.{i}.linear_attn.conv1d.weight <- gated_delta_net.conv_q gated_delta_net.conv_k gated_delta_net.conv_v
model.layers.{i}.linear_attn.dt_bias <- gated_delta_net.dt_b
model.layers.{i}.linear_attn.A_log <- gated_delta_net.A_log
model.layers.{i}.linear_attn.norm.weight <- gated_delta_net.norm
model.layers.{i}.linear_attn.out_proj.weight <- gated_delta_net.wo
"""
SHARED = """
model.layers.{i}.mlp.shared_expert.gate_proj.weight <- moe.shared.wg
model.layers.{i}.mlp.shared_expert.up_proj.weight <- moe.shared.wu
model.layers.{i}.mlp.shared_expert.down_proj.weight <- moe.shared.wd
model.layers.{i}.mlp.shared_expert_gate.weight <- moe.shared_gate
"""
TEXT = OUTER + NORMS + GATED_ATTENTION + DELTA_NET + MLP + EXPERTS + SHARED

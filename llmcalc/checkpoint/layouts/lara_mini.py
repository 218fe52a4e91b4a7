"""Lara Mini: gated delta nets with four input projections, experts beside a shared one without a gate."""

from .llama import ATTENTION, NORMS, OUTER
from .mixtral import EXPERTS
from .qwen3_next import SHARED

PREFIX = "model."

DELTA_NET = """
{p}.in_proj_qkv.weight <- gated_delta_net.wq gated_delta_net.wk gated_delta_net.wv
{p}.in_proj_z.weight <- gated_delta_net.wz
{p}.in_proj_b.weight <- gated_delta_net.wb
{p}.in_proj_a.weight <- gated_delta_net.wa
{p}.conv1d.weight <- gated_delta_net.conv_q gated_delta_net.conv_k gated_delta_net.conv_v
{p}.dt_bias <- gated_delta_net.dt_b
{p}.A_log <- gated_delta_net.A_log
{p}.norm.weight <- gated_delta_net.norm
{p}.out_proj.weight <- gated_delta_net.wo
"""
TEXT = OUTER + NORMS + ATTENTION + EXPERTS + SHARED + DELTA_NET.replace("{p}", "model.layers.{i}.linear_attn")

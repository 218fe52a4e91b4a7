"""Kimi Linear and Ling 3: KDA and latent attention under one name, experts as in DeepSeek-V3."""

from .deepseek_v3 import TEXT as DEEPSEEK

PREFIX = "model."

KDA = """
{p}.q_proj.weight <- kda.wq
{p}.k_proj.weight <- kda.wk
{p}.v_proj.weight <- kda.wv
{p}.conv1d.weight <- kda.conv_q kda.conv_k kda.conv_v
{p}.forget_gate.dt_bias <- kda.dt_b
{p}.b_proj.weight <- kda.wb
{p}.o_norm.weight <- kda.norm
{p}.o_proj.weight <- kda.wo
"""
LOW_RANK = """
{p}.forget_gate.A_log <- kda.A_log | row row column
{p}.forget_gate.f_a_proj.weight <- kda.wa_in
{p}.forget_gate.f_b_proj.weight <- kda.wa
{p}.g_a_proj.weight <- kda.wz_in
{p}.g_b_proj.weight <- kda.wz
"""
TEXT = DEEPSEEK + (KDA + LOW_RANK).replace("{p}", "model.layers.{i}.self_attn")

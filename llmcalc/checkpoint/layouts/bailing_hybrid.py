"""Ling 3: Kimi Linear's names, gates of full rank."""

from .deepseek_v3 import TEXT as DEEPSEEK
from .kimi_linear import KDA

PREFIX = "model."

FULL_RANK = """
{p}.forget_gate.A_log <- kda.A_log
{p}.forget_gate.f_proj.weight <- kda.wa
{p}.g_proj.weight <- kda.wz
{p}.g_proj.weight <- mla.wgate
"""
TEXT = DEEPSEEK + (KDA + FULL_RANK).replace("{p}", "model.layers.{i}.self_attn")

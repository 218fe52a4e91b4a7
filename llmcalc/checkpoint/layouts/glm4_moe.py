"""GLM-4.5, dots.llm1, ERNIE 4.5, Laguna and others: LLaMA's attention, DeepSeek's experts."""

from .deepseek_v3 import SHARED
from .llama import ATTENTION, MLP, NORMS, OUTER
from .mixtral import EXPERTS

GATE = """
model.layers.{i}.self_attn.g_proj.weight <- attention.wgate
"""
TEXT = OUTER + NORMS + ATTENTION + GATE + MLP + EXPERTS + SHARED

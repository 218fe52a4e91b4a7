"""Kolibri 1: Mixtral's experts and DeepSeek's shared one between the four norms of GLM-4-0414."""

from .deepseek_v3 import SHARED
from .glm import POST_NORMS
from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX
from .mixtral import EXPERTS

__all__ = ["PREFIX", "TEXT"]

TEXT = OUTER + NORMS + ATTENTION + MLP + EXPERTS + SHARED + POST_NORMS

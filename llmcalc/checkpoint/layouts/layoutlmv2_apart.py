"""LayoutLMv2 with queries, keys and values of their own."""

from .layoutlmv2 import IMAGE, PREFIX
from .layoutlmv3 import BLOCKS, PAGE

__all__ = ["PREFIX", "TEXT"]

TEXT = (BLOCKS + PAGE + IMAGE).replace("{m}.", PREFIX)

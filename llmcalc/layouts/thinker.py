"""Qwen-Omni's thinker within a model that speaks: all that it has, under a name of its own."""

BEHIND = "thinker."
ALL = True
TEXT = ""

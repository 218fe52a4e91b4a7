"""DPR's encoder of passages."""

from .dpr import within

PREFIX = "ctx_encoder."
TEXT = within(PREFIX)

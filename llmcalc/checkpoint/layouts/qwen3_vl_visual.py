"""Qwen3-VL's tower and mergers, before any language model."""

from .qwen3_vl import MERGERS, TOWER

TEXT = TOWER + MERGERS

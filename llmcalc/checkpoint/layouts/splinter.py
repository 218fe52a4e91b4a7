"""Splinter: BERT's encoder with a head that selects spans."""

from .bert import ENCODER

PREFIX = "splinter."
ENDS = """
splinter_qass.query_{end}_transform.dense.weight <- spans.{end}_question
splinter_qass.query_{end}_transform.dense.bias <- spans.{end}_question_b
splinter_qass.query_{end}_transform.LayerNorm.weight <- spans.{end}_question_norm
splinter_qass.query_{end}_transform.LayerNorm.bias <- spans.{end}_question_norm_b
splinter_qass.{end}_transform.dense.weight <- spans.{end}
splinter_qass.{end}_transform.dense.bias <- spans.{end}_b
splinter_qass.{end}_transform.LayerNorm.weight <- spans.{end}_norm
splinter_qass.{end}_transform.LayerNorm.bias <- spans.{end}_norm_b
splinter_qass.{end}_classifier.weight <- spans.{end}_match
"""
TEXT = ENCODER.replace("{m}.", PREFIX) + ENDS.replace("{end}", "start") + ENDS.replace("{end}", "end")

"""DPR's reader: scores of spans, and of the passage."""

from .dpr import within

PREFIX = "span_predictor."
SCORES = """
span_predictor.qa_outputs.weight <- spans.w
span_predictor.qa_outputs.bias <- spans.b
span_predictor.qa_classifier.weight <- passage.w
span_predictor.qa_classifier.bias <- passage.b
"""
TEXT = within(f"{PREFIX}encoder.") + SCORES

"""BLIP's tower beside an encoder of text, each with a matrix to what they are compared in."""

from .blip_2 import TOWER

BEHIND, ALL = "text_model.", True
TEXT = f"""
{TOWER}
visual_projection.weight <- visual_projection.w
text_projection.weight <- text_projection.w
logit_scale <- logit_scale.t | flat
"""

"""AltCLIP's text tower: XLM-R with a projection of every token."""

from .bert import ENCODER

PREFIX = "text_model."
OUTPUT = """
{m}.transformation.weight <- projection.w
{m}.transformation.bias <- projection.b
{m}.pre_LN.weight <- pre_norm.w
{m}.pre_LN.bias <- pre_norm.b
"""
STACK = ENCODER.replace("{m}.", f"{PREFIX}roberta.").replace("encoder.layer.", "encoder.layers.")
TEXT = STACK + OUTPUT.replace("{m}.", PREFIX)

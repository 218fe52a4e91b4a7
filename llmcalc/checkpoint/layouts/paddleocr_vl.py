"""PaddleOCR-VL's tower and projector."""

from .clip import encoder

PROJECTOR = "model.projector"
TEXT = f"""
{PROJECTOR}.pre_norm.weight <- projector_norm.w
{PROJECTOR}.pre_norm.bias <- projector_norm.b
{PROJECTOR}.linear_1.weight <- projector_in.w
{PROJECTOR}.linear_1.bias <- projector_in.b
{PROJECTOR}.linear_2.weight <- projector_out.w
{PROJECTOR}.linear_2.bias <- projector_out.b
""" + encoder("model.visual.vision_model")

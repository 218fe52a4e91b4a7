"""HyperCLOVA X's tower, which is that of Qwen2.5-VL, and its projector."""

from .qwen2_vl import TEXT as TOWER
from .qwen2_vl import VISION

TEXT = """
model.projector.weight <- projector.w
model.projector.bias <- projector.b
""" + TOWER.replace(VISION, "model.vision_model")

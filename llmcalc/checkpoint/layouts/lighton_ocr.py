"""LightOnOCR: Pixtral's tower and the projector of Mistral Small 3.1, under other names."""

from .clip import PROJECTOR, VISION
from .pixtral import TEXT as PIXTRAL

TEXT = PIXTRAL.replace(VISION, "model.vision_encoder").replace(PROJECTOR, "model.vision_projection")

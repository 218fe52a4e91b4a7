"""GIT: BERT's names, and CLIP's tower under ``image_encoder``."""

from .bert import ENCODER
from .clip import ENCODER as TOWER
from .clip import VISION

PREFIX = "git."
TEXT = (
    TOWER.replace(VISION, f"{PREFIX}image_encoder.vision_model")
    + f"""
{PREFIX}img_temporal_embedding.{{t}} <- frame.w | row
{PREFIX}visual_projection.visual_projection.0.weight <- projector.w
{PREFIX}visual_projection.visual_projection.0.bias <- projector.b
{PREFIX}visual_projection.visual_projection.1.weight <- projector_norm.w
{PREFIX}visual_projection.visual_projection.1.bias <- projector_norm.b
"""
    + ENCODER.replace("{m}.", PREFIX)
    + """
output.weight <- head.w
output.bias <- head.b
"""
)

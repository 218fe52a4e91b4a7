"""Unlimited-OCR: SAM's tower, CLIP's behind it, and their projector."""

from .clip import PROJECTOR, encoder
from .got_ocr2 import SAM, VISION

TEXT = (
    f"""
{VISION}.sam_encoder.proj.conv1.weight <- downsample_in.w
{VISION}.sam_encoder.proj.conv2.weight <- downsample_out.w
{PROJECTOR}.weight <- projector.w
{PROJECTOR}.bias <- projector.b
model.image_newline <- newline.w | flat
model.view_separator <- separator.w | flat
"""
    + SAM.replace(VISION, f"{VISION}.sam_encoder")
    + encoder(f"{VISION}.vision_encoder")
)

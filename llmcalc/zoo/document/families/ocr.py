"""Models for optical character recognition behind SAM."""

from ...vision.vision_encoders.sam import deepseek_ocr2, deepseek_vl_hybrid, got_ocr2, unlimited_ocr

__all__ = ["deepseek_ocr2", "deepseek_vl_hybrid", "got_ocr2", "unlimited_ocr"]

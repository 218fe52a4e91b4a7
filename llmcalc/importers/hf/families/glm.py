"""GLM-4 as Hugging Face spells it: half of each head rotated, gate and up in one matrix."""

from __future__ import annotations

from ....core.architecture import Architecture
from ..config import Config
from ..decoder import decoder
from ..rules import rope_attention, rotary_width


def glm(config: Config) -> Architecture:
    """GLM-4-9B [glm2024]."""
    return _glm(config, "pre")


def glm4(config: Config) -> Architecture:
    """GLM-4-0414: norms before and behind each sub-layer."""
    return _glm(config, "sandwich")


def glm_ocr(config: Config) -> Architecture:
    """GLM-OCR's language model: GLM-4-0414 without biases, whose heads rotate whole."""
    return _glm(config, "sandwich", bias=False, rotated=1.0)


def _glm(config: Config, place: str, bias: bool | None = None, rotated: float = 0.5) -> Architecture:
    attention = rope_attention(
        config,
        bias=config.flag("attention_bias", True) if bias is None else bias,
        o_bias=False,
        rotary_dim=rotary_width(config, rotated),
        rope_interleaved=True,
    )
    return decoder(config, attention=attention, place=place)


def glm_image(config: Config) -> Architecture:
    """GLM-Image's language model: GLM-4, whose own class has a head for images alone."""
    config.ignore("vision_vocab_size")
    return glm4(config)

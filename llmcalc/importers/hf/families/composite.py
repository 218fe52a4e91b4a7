"""Composite models defined by table rows, with special cases for Gemma 3 and Video-LLaVA."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....layers import Head
from ..composite_models import read_composite
from ..config import Config


def read(config: Config) -> Architecture:
    """Read the config of a composite model defined by a table row."""
    return read_composite(config)


def gemma3(config: Config) -> Architecture:
    """Read a Gemma 3 config, or a ShieldGemma 2 classifier that wraps Gemma 3."""
    wrapped = config.class_name() == "ShieldGemma2ForImageClassification"
    if wrapped:
        config.override("architectures", None)
    found = read(config)
    return replace(found, layout="shieldgemma2") if wrapped else found


def video_llava(config: Config) -> Architecture:
    """Read a Video-LLaVA config [lin2023video]. Images and videos have separate encoders but share one projector."""
    found = read(config)
    *language, encoder = found.stacks
    if encoder.role != "tower":
        return found
    images, videos = replace(encoder, name="image_tower"), replace(encoder, name="video_tower")
    videos = replace(videos, outputs=encoder.outputs[:1])
    note = "both encoders are counted for the same number of patches, although an image runs only the first"
    text = found.layout.partition(">")[2]
    return replace(found, stacks=(*language, images, videos), layout=f"video_llava>{text}", notes=(*found.notes, note))


def without_logit_scale(config: Config, text: Architecture) -> Architecture:
    """Return the language model without its logit scale."""
    outputs = [
        Named(name, replace(layer, input_scale=1.0) if isinstance(layer, Head) else layer)
        for name, layer in text.main.outputs
    ]
    return replace(text, stacks=(replace(text.main, outputs=tuple(outputs)), *text.stacks[1:]))

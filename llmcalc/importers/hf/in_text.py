"""Models in whose text the vectors of an image stand as tokens do: in their places, and with nothing else changed."""

from __future__ import annotations

from dataclasses import replace

from ...core.architecture import Architecture

# In others, positions or masks of the vectors are of their own, or later layers get more of the image.
TYPES = frozenset(
    [
        "blip-2",
        "deepseek_vl",
        "got_ocr2",
        "idefics3",
        "instructblip",
        "internvl",
        "lighton_ocr",
        "llava",
        "mistral3",
        "qianfan_ocr",
        "smolvlm",
        "vipllava",
    ]
)


def marked(architecture: Architecture, model_type: str) -> Architecture:
    """The architecture, whose last tower hands its vectors to the text if it is known to do so in this way."""
    towers = [number for number, stack in enumerate(architecture.stacks) if stack.role == "tower"]
    if model_type not in TYPES or not towers:
        return architecture
    stacks = list(architecture.stacks)
    stacks[towers[-1]] = replace(stacks[towers[-1]], replaces_placeholder_tokens=True)
    return replace(architecture, stacks=tuple(stacks))

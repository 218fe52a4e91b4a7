"""The parts that documents about a model share: title, structure and warnings."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.architecture import Architecture
from ..core.structure import structure_line


def title(architecture: Architecture) -> str:
    """``GPT-3 (gpt3-175b)``, with the overrides if there are any."""
    known = architecture.title and architecture.title != architecture.name
    named = f"{architecture.title} ({architecture.name})" if known else architecture.name
    overrides: Sequence[str] = architecture.inputs.get("overrides", ())
    return f"{named} with {', '.join(overrides)}" if overrides else named


def structure(architecture: Architecture) -> tuple[str, ...]:
    """One line per stack."""
    return tuple(structure_line(stack) for stack in architecture.stacks)


def warnings(architecture: Architecture) -> tuple[str, ...]:
    """Warnings: an unpublished model, and config keys that were ignored."""
    if architecture.status == "published":
        return architecture.warnings
    said = f"{architecture.name} is {architecture.status}: its sizes are unpublished and may be wrong"
    return (said, *architecture.warnings)


def passed_over(keys: tuple[str, ...]) -> str:
    """A note about ignored keys of a quantization_config."""
    return f"ignored unknown keys of quantization_config: {', '.join(keys)}"

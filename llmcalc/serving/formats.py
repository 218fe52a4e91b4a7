"""Number formats that serving uses or tries."""

from __future__ import annotations

from ..core.architecture import Architecture
from ..engines.settings import smaller_format
from ..estimate.hardware import Accelerator
from ..inputs.number_formats import number_format
from .replicas import Formats
from .step.step_models import weight_bits


def check_formats(architecture: Architecture, given: Formats) -> None:
    """Check that the model allows the given number formats."""
    for name, text in given.items():
        if text and name == "cache":
            number_format(text, name)
        elif text:
            weight_bits(architecture, text)


def format_choices(
    architecture: Architecture, card: Accelerator, given: Formats, engine: str = ""
) -> tuple[Formats, ...]:
    """Return the number formats that are tried: those given, and the engine's smaller ones that the GPU computes in."""
    found: list[Formats] = [given]
    weights, cache = (smaller_format(engine, kind) for kind in ("weights", "cache"))
    if "fp8" in (weights, cache) and "fp8" not in card.peak:
        return (given,)
    is_free = not any(given[name] for name in ("weights", "experts", "attention_weights"))
    if is_free and not (architecture.inputs.get("types") or architecture.inputs.get("quantization")):
        found.append({**given, "weights": weights})
    if not given["cache"]:
        found += [{**each, "cache": cache} for each in tuple(found)]
    return tuple(found)

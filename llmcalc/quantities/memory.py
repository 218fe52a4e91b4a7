"""Memory required for serving or a training step."""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import Quantity
from ..calc.explain import memory_tree
from ..calc.memory.inference import InferenceMemory
from ..calc.memory.pipeline import ParallelMemory
from ..core.architecture import Architecture
from ..core.form import Form
from ..core.setting import CONVENTION, SIZES
from ..fitting.memory import memory_of
from ..inputs.settings import MEMORY, split_settings
from .state import state_form

UNIT = "bytes"
SERVING = {"weights": "weights", "state": "state", "transient": "activations", "memory": "peak"}
TRAINING = {name: name for name in ("weights", "gradients", "optimizer", "activations", "peak")}


def _measure(architecture: Architecture, settings: dict[str, Any]) -> InferenceMemory | ParallelMemory:
    sizes, _, of_memory, _ = split_settings(settings, architecture)
    return memory_of(architecture, **of_memory, **sizes)


def _form(result: InferenceMemory | ParallelMemory, part: str) -> tuple[Form, int] | None:
    """Return the closed form and divisor of the single-rank state size, or None for all other values."""
    is_state = part == "state" and isinstance(result, InferenceMemory) and result.mesh.ranks == 1
    return state_form(result.state_size, "bytes") if is_state else None


def _compared(result: InferenceMemory | ParallelMemory) -> tuple[str, dict[str, int]]:
    title, parts = ("serving", SERVING) if isinstance(result, InferenceMemory) else ("a training step", TRAINING)
    return f"memory of {title}", {name: getattr(result, part) for name, part in parts.items()}


QUANTITY = Quantity(
    "memory", "memory", UNIT, _measure, memory_tree,
    settings=(*SIZES, *MEMORY, CONVENTION),
    parts=dict.fromkeys(("peak", "weights", "gradients", "optimizer", "activations", "state"), UNIT),
    form=_form,
    target=lambda result: result.peak,
    compared=_compared,
    results=(InferenceMemory, ParallelMemory),
    is_traceable=True,
    evidence={"serving": InferenceMemory.EVIDENCE, "training": ParallelMemory.EVIDENCE},
)  # fmt: skip

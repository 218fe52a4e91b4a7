"""Memory of serving or of a training step on the rank that needs the most.

peak: the largest sum of all tensors at one time
    omits: CUDA context, fragmentation, communication buffers and an engine's reserve
    unlike: rajbhandari2019 (16 bytes per parameter, without gathered tensors and activations)
weights: weights in their number formats, with scales and zero points
    omits: tensors that ZeRO gathers
    like: rajbhandari2019 (2 bytes per parameter in bf16)
gradients: gradients of trained weights; 0 in serving
    omits: unsharded gradients of a block during its backward pass
    like: rajbhandari2019
optimizer: optimizer states and master weights; 0 in serving
    omits: temporaries of the optimizer step
    like: rajbhandari2019 (12 bytes per parameter for Adam in mixed precision)
activations: saved tensors at the peak of training, or transient tensors of the largest serving step
    omits: scores that fused attention never stores
    unlike: korthikanti2022 (34 bytes per token and width of a block, with dropout masks)
state: KV cache, latents and recurrent states; 0 in training
    omits: recomputed values, and unused blocks of a paged cache
    like: shazeer2019
"""

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
SERVING = ("weights", "state", "activations", "peak")
TRAINING = ("weights", "gradients", "optimizer", "activations", "peak")


def _measure(architecture: Architecture, settings: dict[str, Any]) -> InferenceMemory | ParallelMemory:
    sizes, _, of_memory, _ = split_settings(settings, architecture)
    return memory_of(architecture, **of_memory, **sizes)


def _form(result: InferenceMemory | ParallelMemory, part: str) -> tuple[Form, int] | None:
    """Return the closed form and divisor of the single-rank state size, or None for all other values."""
    is_state = part == "state" and isinstance(result, InferenceMemory) and result.mesh.ranks == 1
    return state_form(result.state_size, "bytes") if is_state else None


def _compared(result: InferenceMemory | ParallelMemory) -> tuple[str, tuple[str, ...]]:
    is_serving = isinstance(result, InferenceMemory)
    return ("memory of serving", SERVING) if is_serving else ("memory of a training step", TRAINING)


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

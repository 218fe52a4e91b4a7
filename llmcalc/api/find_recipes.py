"""Ways to train a model on GPUs."""

from __future__ import annotations

from typing import Any

from ..inputs.defaults import RESERVE
from ..inputs.models import Source
from ..search.recipes import RecipeSearch, search_recipes


def find_recipes(
    model: Source,
    gpu: str | int | None = None,
    *,
    count: int | None = None,
    gpu_memory: str | int | None = None,
    reserve: str | int = RESERVE,
    **settings: Any,
) -> RecipeSearch:
    """Find the ways to train a model on GPUs: full fine-tuning, with an 8-bit optimizer or the optimizer in host
    memory, LoRA, and QLoRA, each without and with recomputation and a fused loss.

    Several GPUs use ZeRO-3.

    >>> import llmcalc
    >>> best = llmcalc.find_recipes("llama3-8b", "rtx4090").best
    >>> best.name, best.batch
    ('LoRA, recomputation', 1)

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"rtx4090"`` or ``"h100:8"``; or the memory of one GPU.
        count: number of GPUs.
        gpu_memory: memory of one GPU, such as ``"79.6GiB"`` (overrides the specification).
        reserve: memory per GPU for the runtime: bytes, ``"2GiB"`` or ``"10%"``.
        settings: ``batch`` (the smallest micro-batch, by default 1), ``seq``, ``lora_rank`` (by default 16),
            ``lora_targets`` (by default ``all-linear``),
            ``dtype``, ``attention``, ``dropout``, ``scan``, ``target_seq`` or ``extend`` of ``memory``.

    Raises:
        InputError: an unknown GPU, or conflicting settings.
    """
    return search_recipes(model, gpu, count, gpu_memory, reserve, settings)

"""Presets that fit on GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.setting import check_values
from ..fitting.fit import FIT
from ..inputs.defaults import RESERVE
from ..search.models import MOST, ModelSearch, search_models

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import ModelSearchSettings


def find_models(
    gpu: str | int | None = None,
    *,
    count: int | None = None,
    gpu_memory: str | int | None = None,
    reserve: str | int = RESERVE,
    most: int | None = None,
    **settings: Unpack[ModelSearchSettings],
) -> ModelSearch:
    """Find the presets that fit on GPUs for serving, newest first and then largest.

    Each model has the weight format with the most bits in which at least ``seq`` tokens fit, starting with the format
    of its published checkpoint, and the largest context with this format.

    >>> import llmcalc
    >>> found = llmcalc.find_models("rtx4090", weights="q4_k_m")
    >>> found.models[0].name, found.models[0].context
    ('qwen3.5-moe-35b-a3b', 158172)

    Args:
        gpu: accelerator with an optional count, such as ``"rtx4090"`` or ``"h100:2"``; or the memory of one GPU.
        count: number of GPUs, at most 64, which run one copy of the model.
        gpu_memory: memory of one GPU, such as ``"79.6GiB"`` (overrides the specification).
        reserve: memory per GPU for the runtime: bytes, ``"2GiB"`` or ``"10%"``.
        most: number of models after which the search ends (default: no limit).
        settings: ``batch``, ``seq`` (the context that must fit, by default 2048), ``dtype``, ``weights`` (only this
            weight format), ``cache``, ``page``, ``prefill``, ``step_tokens`` or ``beams`` of ``memory``.

    Raises:
        InputError: an unknown GPU or format.
    """
    check_values((*FIT, MOST), {"gpu": gpu, "count": count, "gpu_memory": gpu_memory, "reserve": reserve, "most": most})
    return search_models(gpu, count, gpu_memory, reserve, most, settings)

"""The best layout of a training step on given GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..inputs.models import Source
from ..search.training_plan import TrainingPlan, find_training_plan


def plan(
    model: Source,
    gpu: str,
    *,
    batch_tokens: float | str | None = None,
    seq: int | str | None = None,
    rank: str = "time",
    fix: Mapping[str, Any] | Iterable[str] = (),
    include: Mapping[str, Any] | Iterable[str] = (),
    max_pp: int | None = None,
    node: int | None = None,
    network_gbytes_per_gpu: float | None = None,
    stack: str | None = None,
    precision: str | None = None,
    price: float | None = None,
) -> TrainingPlan:
    """Find the layout of a training step with the shortest time, among all that fit in memory.

    >>> import llmcalc
    >>> found = llmcalc.plan("llama3-8b", "h100:8", batch_tokens="1M", seq=8192)
    >>> found.best.settings["dp"], found.rank(tp=8).place > 1
    (8, True)

    The layouts differ in tensor, sequence, pipeline, context, expert and data parallelism, micro-batches, virtual
    stages, recomputation and ZeRO with its groups. Their settings are arguments of ``step_time``.

    Args:
        model: an architecture, or anything ``load`` reads. It must have one stack of layers.
        gpu: accelerator with their number, such as ``"h100:512"``.
        batch_tokens: tokens per optimizer step, such as ``"4M"`` (default: the usual number), rounded to a number of
            sequences that layouts divide.
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer).
        rank: order of the layouts: ``time`` of a step, ``mfu``, ``memory`` per GPU or ``money``.
        fix: settings that all layouts have, such as ``{"tp": 8}``.
        include: settings of a layout whose rank the report shows.
        max_pp: largest number of pipeline stages.
        node: GPUs with fast links to each other (default: those of the usual server).
        network_gbytes_per_gpu: GB/s of the network of one GPU in each direction (default: that of the usual server).
        stack: training program, such as ``megatron-core`` or ``torchtitan``.
        precision: number format of matrix products, such as ``fp8`` (default: 16 bits).
        price: US dollars per accelerator-hour (default: quoted prices).

    Raises:
        SizeError: an invalid number of tokens.
        InputError: constraints that leave no layout, or a model of several stacks.
    """
    return find_training_plan(locals())

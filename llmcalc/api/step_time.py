"""Time of one training step on a given layout."""

from __future__ import annotations

from collections.abc import Iterable

from ..inputs.models import Source
from ..training.timed_step import timed_step
from ..training.training_time import TrainingTime


def step_time(
    model: Source,
    gpu: str,
    *,
    tp: int | None = None,
    pp: int | None = None,
    dp: int | None = None,
    cp: int | None = None,
    ep: int | None = None,
    etp: int | None = None,
    sp: bool | None = None,
    zero: int | None = None,
    zero_group: int | None = None,
    virtual_stages: int | None = None,
    batch: int | None = None,
    micro_batch: int | None = None,
    seq: int | str | None = None,
    recompute: str | None = None,
    attention: str | None = None,
    precision: str | None = None,
    lora_rank: int | None = None,
    lora_targets: Iterable[str] | None = None,
    network_gbytes_per_gpu: float | None = None,
    dispatcher: str | None = None,
    stack: str | None = None,
    compile: bool = False,
) -> TrainingTime:
    """Estimate the time of a training step from its operations, with an interval of 80 %.

    >>> import llmcalc
    >>> found = llmcalc.step_time("llama3-8b", "h100:8", batch=128, seq=8192)
    >>> found.low < found.seconds < found.high, 0.3 < found.mfu < 0.6
    (True, True)

    Args:
        model: an architecture, or anything ``load`` reads. It must have one stack of layers.
        gpu: accelerator with their number, such as ``"h100:512"``.
        tp: number of tensor-parallel ranks (default: that of the fastest usual layout if no ranks are given, or 1).
        pp: number of pipeline stages.
        dp: number of data-parallel ranks (default: the GPUs that the other ranks leave).
        cp: number of context-parallel ranks.
        ep: number of expert-parallel ranks, of the data- and tensor-parallel ranks.
        etp: number of tensor-parallel ranks per expert (default: ``tp``, or 1 if ``ep`` does not divide ``dp``).
        sp: whether activations between the blocks are divided over tensor-parallel ranks.
        zero: ZeRO stage (default: 0).
        zero_group: data-parallel ranks that share the weights with ZeRO-3 (default: all).
        virtual_stages: chunks of layers of each pipeline stage, in an interleaved schedule.
        batch: sequences of a step on all GPUs (default: one for each data-parallel rank, or each GPU without ranks).
        micro_batch: sequences of a micro-batch on a rank (default: the fastest).
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer).
        recompute: activation recomputation.
        attention: ``flash``, or ``eager`` if the scores are stored.
        precision: number format of matrix products, such as ``fp8`` (default: 16 bits).
        lora_rank: train only LoRA adapters of this rank.
        lora_targets: matrices to adapt (default: all linear layers).
        network_gbytes_per_gpu: GB/s of the network of one GPU in each direction (default: that of the usual server).
        dispatcher: ``deepep`` if tokens are sent to experts by its kernels (default: a plain all-to-all).
        stack: training program, such as ``megatron-core`` or ``torchtitan``. An unknown one has a wider interval.
        compile: whether a compiler fuses functions.

    Raises:
        SizeError: ranks that do not divide the GPUs, the model or the sequences.
        InputError: an accelerator whose peak is not confirmed, or a model of several stacks.
    """
    return timed_step(locals())

"""Latency of a batch on GPUs: a decode step, a prefill, or a whole generation."""

from __future__ import annotations

import os

from ..inputs.models import Source
from ..serving.calibration import Calibration
from ..serving.latency import batch_latency
from ..serving.latency_times import Latency


def latency(
    model: Source,
    gpu: str,
    *,
    mode: str | None = None,
    batch: int = 1,
    context: int | str | None = None,
    seq: int | str | None = None,
    new_tokens: int | str | None = None,
    tp: int | None = None,
    pp: int | None = None,
    dp: int | None = None,
    ep: int | None = None,
    weights: str | None = None,
    experts: str | None = None,
    attention_weights: str | None = None,
    cache: str | None = None,
    engine: str | None = None,
    engine_version: str | None = None,
    calibration: Calibration | str | os.PathLike[str] | None = None,
) -> Latency:
    """Estimate the time of a batch on GPUs, with an interval of 80 %.

    >>> import llmcalc
    >>> result = llmcalc.latency("llama3.1-8b", "h100")
    >>> 0.005 < result.low < result.seconds < result.high < 0.012, next(iter(result.by_bound))
    (True, 'memory')

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:4"``.
        mode: ``decode`` (one new token per sequence after ``context`` tokens), ``prefill`` (of prompts of ``seq``
            tokens) or ``generate`` (``new_tokens`` tokens after prompts of ``seq`` tokens). By default, it follows from
            the lengths that are given, and is ``decode`` without any.
        batch: number of sequences over all GPUs.
        context: decode: number of cached tokens (default: 2048, or the number of learned positions if smaller).
        seq: tokens of a prompt (default: as for ``context``).
        new_tokens: generate: number of new tokens per sequence (default: 128).
        tp: number of tensor-parallel ranks (default: the layout that ``serve`` takes for as many requests of these
            lengths: all GPUs, or the one with the most tokens per second if it is faster).
        pp: number of pipeline stages, which compute as many parts of the batch at once. Those of llama.cpp, which has
            different layers on each GPU by default, compute one batch one after the other.
        dp: number of data-parallel ranks, which share the experts.
        ep: number of expert-parallel ranks, of the ``tp`` · ``dp`` ranks.
        weights: number format of the weights, such as ``fp8-block`` or ``q4_k_m`` (default: as published for the
            engine, or bf16).
        experts: number format of routed experts (default: ``weights``).
        attention_weights: number format of the matrices of attention and recurrences (default: ``weights``).
        cache: number format of keys and values (default: bf16).
        engine: inference engine (default: ``vllm``, or ``llama.cpp`` for its weight formats, and on Apple silicon and
            Radeon). An unknown one has a wide interval.
        engine_version: its version, such as ``0.6`` (default: the newest one). Versions of vLLM before 0.8 have slower
            steps, the more so with many sequences or tensor-parallel ranks.
        calibration: result of ``calibrate``, or its file: the times of your own deployment. The engine is by default
            the measured one.

    Raises:
        InputError: an unknown GPU or format, a layout that the GPUs or the model do not allow, or a setting that has
            no effect.
    """
    from ..search.default_layout import layout_of_batch  # needed only by several GPUs

    asked = {name: value for name, value in locals().items() if name not in ("model", "gpu", "layout_of_batch")}
    return batch_latency(model, gpu, asked, layout_of_batch)

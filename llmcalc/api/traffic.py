"""Bytes read and written in one step."""

from __future__ import annotations

from collections.abc import Iterable

from ..calc.traffic import Traffic
from ..inputs.arguments import read_arguments
from ..inputs.models import Source
from ..quantities.traffic import SETTINGS, measure


def traffic(
    model: Source,
    *,
    batch: int = 1,
    seq: int | str | None = None,
    mode: str = "forward",
    context: int | str | None = None,
    target_seq: int | str | None = None,
    source: int | str | None = None,
    logits: str = "all",
    kernels: str = "fused",
    dtype: str = "bf16",
    weights: str | None = None,
    only: Iterable[str] = (),
    keep: Iterable[str] = (),
    cache: str | None = None,
    extend: bool = False,
    patches: int = 0,
    frames: int = 0,
) -> Traffic:
    """Count the bytes that one step reads and writes.

    >>> import llmcalc
    >>> step = llmcalc.traffic("llama3-8b", mode="decode", context=8192)
    >>> step.by_kind["weights"], step.by_kind["cache"], round(step.intensity, 2)
    (15009857536, 1074003968, 1.2)

    Args:
        model: an architecture, or anything ``load`` reads.
        batch: number of sequences.
        seq: tokens per sequence (default: 2048, or the number of learned positions if smaller; 1 in ``decode``).
        mode: ``forward``, ``train`` (forward and backward) or ``decode`` (after ``context`` cached tokens).
        context: number of cached tokens before a decode step.
        target_seq: number of decoder tokens of an encoder-decoder model (default: ``seq``).
        source: number of encoder tokens in a decode step (default: ``context``).
        logits: compute logits at ``all`` positions or only at the ``last`` one.
        kernels: ``fused`` counts what enters and leaves each kernel, ``unfused`` what every equation reads and writes.
        dtype: number format of activations: ``bf16``, ``fp16`` or ``fp32``.
        weights: weight format, a mixture such as ``q4_k_m``, or ``checkpoint`` for the formats in the file
            (default: ``checkpoint`` if the model is quantised, else ``dtype``). Training uses ``dtype``.
        only: components to store in ``weights``; other components stay in ``dtype``.
        keep: components to keep in ``dtype``.
        cache: number format of keys and values (default: ``dtype``).
        extend: allow sequences longer than the learned positions.
        patches: number of image patches per sequence.
        frames: number of audio frames per sequence (100 per second).

    Raises:
        InputError: an invalid workload, or a setting that has no effect.
    """
    architecture, given = read_arguments(model, SETTINGS, locals())
    return measure(architecture, given)

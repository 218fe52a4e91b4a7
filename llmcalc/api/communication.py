"""Bytes that the ranks of a mesh exchange in one step."""

from __future__ import annotations

from ..calc.communication import Communication
from ..calc.sharding import Mesh
from ..inputs.arguments import read_arguments
from ..inputs.models import Source
from ..quantities.communication import SETTINGS, measure


def communication(
    model: Source,
    *,
    batch: int = 1,
    seq: int | str | None = None,
    mode: str = "forward",
    context: int | str | None = None,
    target_seq: int | str | None = None,
    logits: str = "all",
    dtype: str = "bf16",
    gradients: str | None = None,
    mesh: Mesh | None = None,
    dp: int | None = None,
    tp: int | None = None,
    pp: int | None = None,
    ep: int | None = None,
    etp: int | None = None,
    cp: int | None = None,
    sp: bool | None = None,
    zero: int | None = None,
    micro_batches: int | None = None,
    virtual_stages: int | None = None,
    vocabulary_multiple: int | None = None,
    extend: bool = False,
) -> Communication:
    """Count the bytes that the ranks of a mesh exchange in one step, and list the collectives.

    >>> import llmcalc
    >>> step = llmcalc.communication("gpt3", tp=8)
    >>> step.by_kind
    {'all-reduce': 16999514112, 'all-gather': 183500800}

    Args:
        model: an architecture, or anything ``load`` reads.
        batch: number of sequences per data-parallel rank; in training, per micro-batch.
        seq: tokens per sequence (default: 2048, or the number of learned positions if smaller; 1 in ``decode``).
        mode: ``forward``, ``train`` (forward and backward) or ``decode`` (after ``context`` cached tokens).
        context: number of cached tokens before a decode step.
        target_seq: number of decoder tokens of an encoder-decoder model (default: ``seq``).
        logits: compute logits at ``all`` positions or only at the ``last`` one.
        dtype: number format of activations and weights: ``bf16``, ``fp16`` or ``fp32``.
        gradients: training: number format of the gradients of weights (default: ``dtype``).
        mesh: number of ranks of each kind of parallelism. The other arguments are the fields of ``Mesh``.
        dp: number of data-parallel ranks.
        tp: number of tensor-parallel ranks.
        pp: number of pipeline stages.
        ep: number of expert-parallel ranks.
        etp: number of tensor-parallel ranks per expert (default: ``tp``).
        cp: training: number of context-parallel ranks.
        sp: training: whether to use sequence parallelism.
        zero: training: ZeRO stage.
        micro_batches: training: number of micro-batches per step (default: ``pp``).
        virtual_stages: training: number of model chunks per stage of an interleaved pipeline.
        vocabulary_multiple: the vocabulary is padded to a multiple of ``vocabulary_multiple * tp``.
        extend: allow sequences longer than the learned positions.

    Raises:
        InputError: an invalid workload, or a setting that has no effect.
        UnsupportedError: a recurrent layer with ``cp``, or an axis that the layer kind does not divide.
    """
    architecture, given = read_arguments(model, SETTINGS, locals())
    return measure(architecture, given)

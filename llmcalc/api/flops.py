"""Floating-point operations of one step."""

from __future__ import annotations

from ..calc.flops import Flops
from ..calc.flops import flops as count_flops
from ..core.aliases import accepts_aliases
from ..core.setting import COUNT, PAIRS, WORKLOAD
from ..inputs.arguments import read_arguments
from ..inputs.defaults import cached_tokens, default_seq
from ..inputs.models import Source

SETTINGS = (*(setting for setting in WORKLOAD if setting is not PAIRS), COUNT)


@accepts_aliases(attention="count")
def flops(
    model: Source,
    *,
    batch: int = 1,
    seq: int | str | None = None,
    mode: str = "forward",
    context: int | str | None = None,
    target_seq: int | str | None = None,
    source: int | str | None = None,
    count: str = "causal",
    logits: str = "all",
    convention: str | None = None,
    extend: bool = False,
    patches: int = 0,
    frames: int = 0,
) -> Flops:
    """Count the floating-point operations of one step.

    >>> import llmcalc
    >>> llmcalc.flops("gpt3", mode="train").matmul
    2174740466761728
    >>> llmcalc.flops("gpt3", mode="decode", context=1000).workload.seq
    1

    Args:
        model: an architecture, or anything ``load`` reads.
        batch: number of sequences.
        seq: tokens per sequence (default: 2048, or the number of learned positions if smaller; 1 in ``decode``).
        mode: ``forward``, ``train`` (forward and backward) or ``decode`` (after ``context`` cached tokens).
        context: number of cached tokens before a decode step.
        target_seq: number of decoder tokens of an encoder-decoder model (default: ``seq``).
        source: number of encoder tokens in a decode step (default: ``context``).
        count: ``causal`` counts visible query-key pairs, ``dense`` all pairs.
        logits: compute logits at ``all`` positions or only at the ``last`` one.
        convention: ``torch`` counts what transformers' eager code executes.
        extend: allow sequences longer than the learned positions.
        patches: number of image patches per sequence.
        frames: number of audio frames per sequence (100 per second).

    Raises:
        InputError: an invalid workload, or a setting that has no effect on the model.
    """
    architecture, given = read_arguments(model, SETTINGS, locals())
    if given["seq"] is None:
        given["seq"] = default_seq(architecture, mode=mode)
    given |= {"context": cached_tokens(mode, given["context"]), "attention": given.pop("count")}
    return count_flops(architecture, **given)

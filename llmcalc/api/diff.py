"""Differences between two architectures."""

from __future__ import annotations

from ..analysis.diff import Diff, diff_models
from ..inputs.models import Source, read_model


def diff(first: Source, second: Source) -> Diff:
    """Find the differences between two architectures.

    >>> import llmcalc
    >>> llmcalc.diff("llama3-8b", "llama3.1-8b").differences[0].what
    'rope.scaling'

    Args:
        first: an architecture, or anything ``load`` reads.
        second: another architecture.

    Raises:
        InputError: a model cannot be read.
    """
    return diff_models(read_model(first), read_model(second))

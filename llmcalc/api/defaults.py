"""Defaults shared by Python and the command line."""

from __future__ import annotations

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.workload import positions

SEQ = 2048
RESERVE = "1GiB"  # per GPU, for the runtime


def default_seq(*models: Architecture, mode: str = "forward") -> int:
    """Return the default sequence length.

    The default is 1 for a decode step. Otherwise, it is 2048, or the number of learned positions if smaller.

    >>> import llmcalc
    >>> default_seq(llmcalc.load("gpt3")), default_seq(llmcalc.load("gpt1")), default_seq(mode="decode")
    (2048, 512, 1)
    """
    return 1 if mode == "decode" else min([SEQ, *(positions(model) or SEQ for model in models)])


def cached_tokens(mode: str, context: int | None) -> int:
    """Return the number of tokens cached before a step. A decode step requires ``context``."""
    if mode == "decode" and context is None:
        raise InputError("a decode step requires the number of cached tokens", parameter="mode", hint="add {context=N}")
    return context or 0

"""Properties of an implementation that affect memory but not results."""

from __future__ import annotations

from typing import ClassVar

from ...core.part import Part
from ...core.record import record


@record
class Implementation(Part):
    """How an implementation caches keys and values and computes the softmax.

    Attributes:
        cache: layout of the KV cache: ``compact``, ``all_tokens`` (ignores the window; GPT-Neo), ``query_heads``
            (repeated keys and values; Falcon), or ``none`` (cached by a later run).
        softmax_in_fp32: whether the softmax is computed in fp32.
    """

    cache: str = "compact"
    softmax_in_fp32: bool = False

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"cache": ("compact", "all_tokens", "query_heads", "none")}

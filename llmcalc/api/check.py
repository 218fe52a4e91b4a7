"""Suspicious shapes of a model, and limits that it exceeds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..analysis.check import Checked, check_all
from ..inputs.models import Source

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import CheckSettings


def check(
    model: Source,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    tp: int | None = None,
    pp: int | None = None,
    ep: int | None = None,
    max_params: float | str | None = None,
    max_active: float | str | None = None,
    max_memory: int | str | None = None,
    budget: float | str | None = None,
    tokens: float | str | None = None,
    batch: int = 1,
    seq: int | str | None = None,
    **settings: Unpack[CheckSettings],
) -> Checked:
    """Check a model for suspicious shapes and exceeded limits.

    >>> import llmcalc
    >>> llmcalc.check("gpt2", select=["HW005"], max_params="200M")
    Checked(gpt2-small: HW005 decoder.token)

    Args:
        model: an architecture, or anything ``load`` reads.
        select: rule codes or prefixes to apply (default: all).
        ignore: rule codes or prefixes to skip.
        tp: intended number of tensor-parallel ranks. Limits on memory and communication apply to one rank.
        pp: intended number of pipeline stages.
        ep: intended number of expert-parallel ranks.
        max_params: maximum number of parameters, such as ``8e9`` or ``"8B"``.
        max_active: maximum number of active parameters.
        max_memory: maximum serving memory at ``batch`` and ``seq``, with weights as published or in bf16: bytes
            or ``"24GiB"``.
        budget: maximum training FLOPs for ``tokens``, such as ``1e24`` or ``"3640PF-days"``.
        tokens: number of training tokens.
        batch: number of sequences.
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer).
        settings: limits of other quantities, such as ``max_state="1GiB"`` or ``max_flops=1e10`` (per token), and
            settings of the limited quantities, such as ``weights="fp8"`` or ``mode="decode"``.

    Raises:
        InputError: an unknown rule, an invalid limit, or a setting that has no effect on the limits.
    """
    own = {name: value for name, value in locals().items() if name not in ("model", "settings")}
    return check_all([model], **own, **settings)[0]

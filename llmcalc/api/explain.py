"""Derivations of quantities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..analysis.explain import EXPLAIN, Explanation, derive
from ..core.setting import check_values
from ..inputs.models import Source

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import QuantitySettings


def explain(
    model: Source,
    quantity: str = "params",
    *,
    depth: int | None = None,
    select: str | None = None,
    **settings: Unpack[QuantitySettings],
) -> Explanation:
    """Explain how a quantity is derived.

    >>> import llmcalc
    >>> print(llmcalc.explain("gpt3", "params", depth=1))
    gpt3-175b params = 174,604,259,328 params
      inputs = 642,723,840 params (2 parts below)
      block ×96 = 173,961,510,912 params (2 parts below)
      outputs = 24,576 params (2 parts below)

    Args:
        model: an architecture, or anything ``load`` reads.
        quantity: name of a module of ``llmcalc.quantities``, such as ``params``, ``flops`` or ``memory``.
        depth: number of levels to show (default: all).
        select: show only parts whose path contains this text.
        settings: parameters of the quantity's function, such as ``tokens`` of ``train``. ``attention`` of ``flops`` is
            called ``pairs``; ``training=True`` explains the memory of a training step.

    Raises:
        InputError: an unknown quantity, or a setting that has no effect on the quantity.
    """
    check_values(EXPLAIN, locals())
    return derive(model, quantity, depth, select, settings)

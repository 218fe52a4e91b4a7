"""Classes of values, and the measurements that they were compared with."""

from __future__ import annotations

from ..analysis.evidence import Evidence, known_evidence, names
from ..core.errors import UnknownNameError


def evidence(quantity: str | None = None) -> Evidence:
    """Return the class of every value, and the measurements that it was compared with.

    >>> import llmcalc
    >>> [(one.value, one.kind) for one in llmcalc.evidence("memory").values][-2:]
    [('optimizer', 'exact'), ('activations', 'measured')]

    Args:
        quantity: a quantity such as ``memory``, ``train``, ``fit`` or ``scale`` (default: all).

    Raises:
        UnknownNameError: an unknown quantity.
    """
    if quantity is not None and quantity not in names():
        hint = f"use one of {', '.join(names())}"
        raise UnknownNameError("quantity", quantity, names(), parameter="quantity", hint=hint)
    return known_evidence(quantity)

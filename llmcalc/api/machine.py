"""GPUs of a training run, and how much of their peak it uses."""

from __future__ import annotations

from ..estimate.cost import Machine
from ..training.machine import read_machine


def machine(
    name: str, count: int | None = None, mfu: float | str | None = None, precision: str | None = None
) -> Machine:
    """Return a description of GPUs and their utilisation for ``train`` and ``scale``.

    >>> import llmcalc
    >>> llmcalc.machine("h100:512", mfu=0.4).count
    512

    Args:
        name: accelerator with an optional count, such as ``"h100"`` or ``"h100:512"``.
        count: number of GPUs (default: 1).
        mfu: model FLOPs utilisation, such as ``0.4`` or ``"40%"`` (default: the published range).
        precision: number format of matrix products (default: 16-bit, or a format with published utilisation).

    Raises:
        InputError: the accelerator is unknown, or has no peak in this format or no published utilisation.
    """
    return read_machine(name, count, mfu, precision)

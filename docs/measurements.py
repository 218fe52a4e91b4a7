"""Tables of measurements and predictions, which ``docs/accuracy.py`` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Row(NamedTuple):
    """A measurement and its prediction."""

    case: str
    measured: float
    predicted: float
    unit: str
    value: str = ""  # if it is not that of the section


class Section(NamedTuple):
    """A table of measurements.

    Attributes:
        file: data file with the measurements, in docs/data.
        rows: function that yields the rows. Its docstring states the settings.
        remark: explanation of the differences.
        quantity: quantity that is measured, as in ``llmcalc evidence``.
        value: one or more attributes of its result.
        mode: ``serving`` or ``training``, or empty if the quantity has one mode.
        in_fit: whether constants were fitted to these measurements.
        bounds: whether several predictions bound each measurement, so that it has no single error.
    """

    file: str
    rows: Callable[[], Iterator[Row]]
    remark: str
    quantity: str = "memory"
    value: str = "peak"
    mode: str = "training"
    in_fit: bool = False
    bounds: bool = False

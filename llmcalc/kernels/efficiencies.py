"""The measured efficiencies of kernels that the package contains."""

from __future__ import annotations

from functools import cache

from ..data import table
from .efficiency import Efficiencies


@cache
def efficiencies() -> Efficiencies:
    """Return the coefficients in ``data/efficiency``."""
    return Efficiencies(table)

"""Readers of ``config.json`` files, one module per group of families. ``family_table.py`` finds them."""

from __future__ import annotations

from ..family_table import Family, find, names

__all__ = ["Family", "find", "names"]

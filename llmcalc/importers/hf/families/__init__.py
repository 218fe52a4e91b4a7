"""Readers for ``config.json`` files, with one module per family group. ``family_table.py`` locates readers."""

from __future__ import annotations

from ..family_table import Family, find, names

__all__ = ["Family", "find", "names"]
